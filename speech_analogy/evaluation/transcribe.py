"""Speech in, text out: batches of equal windows, sorted by length, decoded and put back in order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lhotse import CutSet
from tqdm import tqdm

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.recognisers.protocol import Recogniser, load_recogniser, native_window
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, Window, window_seconds

BATCH_SECONDS = 240.0  # of window: 8 full windows, or about 60 short utterances
LOG_INTERVAL_S = 15.0  # between lines of progress where stderr is not a terminal


@dataclass(frozen=True)
class Transcript:
    """What one recording was heard as."""

    id: str
    text: str
    duration_s: float


@dataclass(frozen=True)
class Transcription:
    """The transcripts in the order of the cuts, the window they were decoded in, and the wall time it took."""

    transcripts: list[Transcript]
    window: Window
    seconds: float


def transcribe(
    source: str | Path | CutSet,
    model: str | Path | Recogniser,
    *,
    window: Window | None = None,
    beams: int = 1,
    language: str = "en",
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Transcription:
    """Transcribe recordings.

    Args:
        source: cuts, the path of cuts, an audio file, or a folder of audio files. Audio over 30 s is refused.
        model: weights by name or folder, or a loaded recogniser.
        window: None takes the window that the checkpoint was tuned in (30 s for any that was not tuned here).
        beams: 1 is greedy.

    Raises:
        DataError: no audio, unreadable audio, or audio longer than 30 s.
        CheckpointError: the model cannot be loaded.
    """
    cuts = list(cuts_of(source))
    recogniser = load_recogniser(model, language=language, device=device) if isinstance(model, str | Path) else model
    chosen = window or native_window(recogniser.folder)
    start = time.perf_counter()
    texts: dict[str, str] = {}
    bar = tqdm(
        total=len(cuts),
        desc=f"transcribe ({chosen})",
        unit="utt",
        disable=not progress,
        mininterval=0.2 if _terminal() else LOG_INTERVAL_S,
    )
    with bar, torch.inference_mode():
        for window_s, batch in _batches(cuts, chosen):
            waveforms = [load_audio(cut, SAMPLING_RATE_HZ) for cut in batch]
            features = recogniser.features(waveforms, window_s)
            heard = recogniser.decode(features, [cut.duration for cut in batch], beams)
            texts.update(zip((cut.id for cut in batch), heard, strict=True))
            bar.update(len(batch))
    transcripts = [Transcript(cut.id, texts[cut.id], cut.duration) for cut in cuts]
    return Transcription(transcripts, chosen, time.perf_counter() - start)


def transcribe_arrays(
    waveforms: Sequence[np.ndarray], recogniser: Recogniser, window: Window | None = None
) -> list[str]:
    """Transcribe float32 mono 16 kHz arrays, each (samples,); the form that a synthesis gate asks for."""
    chosen = window or native_window(recogniser.folder)
    texts = []
    for waveform in waveforms:
        duration = len(waveform) / SAMPLING_RATE_HZ
        features = recogniser.features([waveform], window_seconds(duration, chosen))
        texts += recogniser.decode(features, [duration])
    return texts


def _batches(cuts: list[Any], window: Window) -> Iterator[tuple[float, list[Any]]]:
    """Batches of equal windows, longest first, so that the estimate of the time left errs on the safe side.

    A window hangs on its own utterance alone, so what is heard does not depend on which utterances share a batch.
    """
    by_window: dict[float, list[Any]] = {}
    for cut in sorted(cuts, key=lambda cut: (-cut.duration, cut.id)):
        by_window.setdefault(window_seconds(cut.duration, window), []).append(cut)
    for window_s, group in by_window.items():
        size = max(1, int(BATCH_SECONDS / window_s))
        for start in range(0, len(group), size):
            yield window_s, group[start : start + size]


def _terminal() -> bool:
    import sys

    return sys.stderr.isatty()
