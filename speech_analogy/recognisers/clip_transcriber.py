"""A recogniser for the round-trip gate of `data_synth`, which knows none: its entry point `whisper`."""

from __future__ import annotations

import numpy as np
import soxr

from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.checking.decode import decode_batches, speech_batch
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, padding_of, window_seconds


class ClipTranscriber:
    """Transcribes single clips of up to 30 s, greedily, in the window that its weights were tuned in.

    Args:
        model: as for `load_recogniser`; another one than is trained on the clips.
        language: of the texts.
        device: where the model lives.

    Attributes:
        identities: the model's name, folder and fingerprint, by which it is refused where it is the one being trained.

    Raises:
        CheckpointError: the weights are broken, or cannot be obtained.
    """

    def __init__(self, model: str = "pip:whisper-base", language: str = "en", device: str = "cpu") -> None:
        folder = resolve_weights(model)
        self.identities = (model, str(folder), fingerprint(open_checkpoint(folder)))
        self.recogniser = load_recogniser(folder, language=language, device=device)
        self.window = native_window(folder)

    def __call__(self, samples: np.ndarray, rate: int) -> str:
        """The transcript: float32 mono (samples,) at `rate` Hz in, raw text out."""
        speech = samples if rate == SAMPLING_RATE_HZ else soxr.resample(samples, rate, SAMPLING_RATE_HZ)
        seconds = len(speech) / SAMPLING_RATE_HZ
        window_s = window_seconds(seconds, self.window)
        batch = speech_batch(self.recogniser, [speech], [seconds], window_s, padding_of(self.window))
        [[found]] = decode_batches(self.recogniser, [batch])
        return found.text
