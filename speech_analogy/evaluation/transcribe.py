"""Speech in, text out: batches of equal windows, sorted by length, decoded and put back in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from lhotse import CutSet

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.foundation.progress import bar
from speech_analogy.recognisers.checking.decode import Decoded, decode_batches, speech_batch
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import backend_name, load_transcriber
from speech_analogy.recognisers.protocol import Transcriber
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import (
    SAMPLING_RATE_HZ,
    Padding,
    Window,
    padding_of,
    window_kind,
    window_seconds,
)

BATCH_SECONDS = 60.0  # of window on a processor: what it works on stays near it, and memory is soon at its largest
BATCH_SECONDS_GPU = 240.0
UTTERANCES_AT_LEAST = 8  # in a batch: a step of the decoder costs about as much for one as for eight

Load = Callable[[int], np.ndarray]
"""The samples of one utterance, by its number: float32, mono, 16 kHz, (samples,)."""


@dataclass(frozen=True)
class TimedText:
    """What was said from one second of a recording to another."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """The text of one recording.

    Attributes:
        one_pass: what the first pass wrote, where the text differs or it looped; None: the text itself.
        silent: the recording is silence, which has no words.
        segments: the text in pieces, with their times, where the recording was cut into some.
    """

    id: str
    text: str
    duration_s: float
    one_pass: str | None = None
    silent: bool = False
    segments: tuple[TimedText, ...] = ()

    @classmethod
    def of(cls, identity: str, decoded: Decoded, duration_s: float) -> Transcript:
        """The transcript of a recording as it was decoded."""
        changed = decoded.fell_back or decoded.text != decoded.one_pass
        return cls(identity, decoded.text, duration_s, decoded.one_pass if changed else None, decoded.silent)


@dataclass(frozen=True)
class Transcription:
    """The transcripts in the order of the cuts, how they were decoded, and the wall time it took.

    Attributes:
        problems: recording -> why it has no transcript.
    """

    transcripts: list[Transcript]
    window: Window
    seconds: float
    backend: str = "torch"
    problems: dict[str, str] = field(default_factory=dict)


def transcribe(
    source: str | Path | CutSet,
    model: str | Path | Transcriber,
    *,
    decoding: DecodingOptions = DEFAULT_DECODING,
    progress: bool = True,
) -> Transcription:
    """Transcribe recordings, in batches of equal windows.

    An utterance's window depends on its own length alone. Still, a matrix product may round differently in another
    batch, and where two tokens are all but equally likely that decides. At most one utterance in a hundred may come
    out differently alone: `speed.py --one-by-one` of tests/benchmarks/transcription counts them (none of 200).
    What loops is cut or decoded again, and silence has no words; see `decode_batches`.

    Args:
        source: cuts, the path of cuts, an audio file, or a folder of audio files. Audio over 30 s is refused.
        model: weights by name or folder, a loaded recogniser, or a transcriber.
        decoding: e.g. `DecodingOptions(beams=5, window="full")`; by default greedy, with torch, in the window that
            the checkpoint was tuned in.

    Raises:
        DataError: no audio, unreadable audio, or audio longer than 30 s.
        CheckpointError: the model cannot be loaded.
        ConfigError: the backend is not installed, or there is no such device.
    """
    cuts = list(cuts_of(source))
    folder = resolve_weights(str(model)) if isinstance(model, str | Path) else model.folder
    chosen = decoding.window or native_window(folder)
    transcriber = load_transcriber(
        folder if isinstance(model, str | Path) else model,
        decoding,
        window_s=sum(window_seconds(cut.duration, chosen) for cut in cuts),
    )
    start = time.perf_counter()
    with bar(len(cuts), f"transcribe ({window_kind(chosen)})", "utterances", show=progress) as shown:
        decoded = _decode(
            batches([cut.duration for cut in cuts], chosen, [cut.id for cut in cuts], batch_seconds(transcriber)),
            [cut.duration for cut in cuts],
            lambda row: load_audio(cuts[row], SAMPLING_RATE_HZ),
            transcriber,
            padding_of(chosen),
            decoding,
            shown.update,
        )
    transcripts = [Transcript.of(cut.id, one, cut.duration) for cut, one in zip(cuts, decoded, strict=True)]
    return Transcription(
        transcripts, chosen, time.perf_counter() - start, backend_name(transcriber, decoding.text_bias)
    )


def transcribe_arrays(
    waveforms: Sequence[np.ndarray],
    transcriber: Transcriber,
    window: Window | None = None,
    beams: int = 1,
    fallback: bool = True,
) -> list[str]:
    """Transcribe float32 mono 16 kHz arrays, each (samples,), in batches of equal windows; texts in their order."""
    return [one.text for one in decode_arrays(waveforms, transcriber, window, beams, fallback)]


def decode_arrays(
    waveforms: Sequence[np.ndarray],
    transcriber: Transcriber,
    window: Window | None = None,
    beams: int = 1,
    fallback: bool = True,
) -> list[Decoded]:
    """What `transcribe_arrays` finds, with what the first pass wrote."""
    durations = [len(waveform) / SAMPLING_RATE_HZ for waveform in waveforms]
    chosen = window or native_window(transcriber.folder)
    plan = batches(durations, chosen, seconds=batch_seconds(transcriber))
    how = DecodingOptions(beams=beams, fallback=fallback)
    return _decode(plan, durations, waveforms.__getitem__, transcriber, padding_of(chosen), how, lambda count: None)


@dataclass(frozen=True)
class DecodingBatch:
    """Utterances, by number, that are decoded together, and the window that all of them have."""

    window_s: float
    rows: list[int]


def batch_seconds(transcriber: Transcriber) -> float:
    """Seconds of window that are decoded together, by where it computes.

    Measured with whisper-tiny.en, 640 utterances, two threads of a Xeon, 240, 120 and 60 s: 36, 45 and 52 utterances
    a second in 1,811, 1,459 and 1,271 MiB with CTranslate2 in int8, 17, 22 and 22 in 1,772, 1,386 and 1,248 with torch.
    """
    device = torch.device(transcriber.device)
    return BATCH_SECONDS if device.type == "cpu" else BATCH_SECONDS_GPU


def batches(
    durations_s: Sequence[float],
    window: Window,
    names: Sequence[str] | None = None,
    seconds: float = BATCH_SECONDS,
) -> list[DecodingBatch]:
    """Batches of equal windows, longest first, so that the estimate of the time left errs on the safe side.

    Args:
        names: settle the order of utterances of equal length, so that it does not depend on the order of the input.
        seconds: of window in a batch, which has at least `UTTERANCES_AT_LEAST` where there are that many.
    """
    by_window: dict[float, list[int]] = {}
    for row in sorted(range(len(durations_s)), key=lambda row: (-durations_s[row], names[row] if names else row)):
        by_window.setdefault(window_seconds(durations_s[row], window), []).append(row)
    return [
        DecodingBatch(window_s, rows[start : start + size])
        for window_s, rows in by_window.items()
        for size in [max(UTTERANCES_AT_LEAST, int(seconds / window_s))]
        for start in range(0, len(rows), size)
    ]


def _decode(
    plan: list[DecodingBatch],
    durations_s: Sequence[float],
    load: Load,
    transcriber: Transcriber,
    padding: Padding,
    decoding: DecodingOptions,
    done: Callable[[int], object],
) -> list[Decoded]:
    """In the order of `durations_s`; audio is loaded as its batch comes up, so that memory stays flat."""
    found = [Decoded("", "")] * len(durations_s)
    with torch.inference_mode():
        feed = (
            speech_batch(
                transcriber,
                [load(row) for row in batch.rows],
                [durations_s[row] for row in batch.rows],
                batch.window_s,
                padding,
            )
            for batch in plan
        )
        decoded = decode_batches(transcriber, feed, beams=decoding.beams, fallback=decoding.fallback)
        for batch, own in zip(plan, decoded, strict=True):
            for row, one in zip(batch.rows, own, strict=True):
                found[row] = one
            done(len(batch.rows))
    return found
