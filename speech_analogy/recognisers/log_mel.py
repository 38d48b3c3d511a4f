"""Log-mel features of waveforms padded to a window, by Whisper's extractor; and those of a voice, for any family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, Padding, pad

FRAMES_PER_S = 100
SILENCE_MADE_S = 0.1  # of frames after the longest utterance: the last of them, 25 ms long, holds no speech


def log_mel(
    extractor: WhisperFeatureExtractor, waveforms: Sequence[np.ndarray], window_s: float, padding: Padding = "silence"
) -> torch.Tensor:
    """Log-mel features of waveforms padded to one window.

    Args:
        extractor: of Whisper's kind.
        waveforms: float32, mono, 16 kHz, each (samples,); what is longer than the window is cut.
        window_s: seconds; a whole number of encoder frames (20 ms).
        padding: what follows the speech.

    Returns:
        (batch, mels, frames) float32, frames = 100 x window_s.
    """
    samples = round(window_s * SAMPLING_RATE_HZ)
    stop = samples
    if padding == "silence":  # after some silence every frame is the same: the last one made stands for them
        spoken = max(len(waveform) for waveform in waveforms) + round(SILENCE_MADE_S * SAMPLING_RATE_HZ)
        stop = min(samples, -(-spoken // extractor.hop_length) * extractor.hop_length)
    batch = np.stack([pad(waveform, stop, padding) for waveform in waveforms])  # (batch, samples)
    made = extractor._torch_extract_fbank_features(batch)  # what its __call__ runs on the padded batch
    mel = torch.from_numpy(np.asarray(made))
    rest = (samples - stop) // extractor.hop_length
    return torch.cat([mel, mel[..., -1:].expand(-1, -1, rest)], dim=-1) if rest else mel


def spoken_log_mel(
    waveform: np.ndarray, duration_s: float, extractor: WhisperFeatureExtractor | None = None
) -> torch.Tensor:
    """The log-mel frames of one utterance without padding, which describe the sound of a voice.

    Args:
        waveform: float32, mono, 16 kHz, (samples,).
        duration_s: of the utterance.
        extractor: of a Whisper model; None: the one with 80 mels that the first Whispers have.

    Returns:
        (mels, frames) float32, 100 frames a second, at least one.
    """
    mel = log_mel(extractor or _standard_extractor(), [waveform], math.ceil(duration_s))[0]
    return mel[:, : max(1, round(FRAMES_PER_S * duration_s))]


@cache
def _standard_extractor() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor()
