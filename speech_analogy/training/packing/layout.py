"""Where utterances lie in 30 s windows: joined with pauses, or one in each; and what is written of such a window."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import text_of
from speech_analogy.recognisers.protocol import Segment, WindowText
from speech_analogy.recognisers.windows import FULL_WINDOW_S, SAMPLING_RATE_HZ, pad

PAUSE_S = (0.2, 1.0)  # drawn between two utterances
CUT_AT_LEAST_S = 2.0  # of an utterance at the window's end that goes on after it
TIMED_SHARE = 0.5  # of the windows: their labels have time stamps
FIRST_STAMP_AT_MOST_S = 1.0  # decoders allow no later one at a window's start

FRAME_S = 0.02  # loudness is taken frame by frame
SPEECH_BELOW_PEAK_DB = 35.0  # what is quieter at an utterance's edges is silence
MARGIN_S = 0.1  # kept around what is loud: breath and plosives are quiet

LabelTokens = Callable[[str], int]


@dataclass(frozen=True)
class Placed:
    """An utterance in a window."""

    cut: Any
    start_s: float
    shown_s: float
    """Its duration, or less where the window ends before it does."""

    @property
    def whole(self) -> bool:
        """Whether the window holds all of it."""
        return bool(self.shown_s >= self.cut.duration)


@dataclass
class Window30:
    """What lies in one 30 s window."""

    placed: list[Placed] = field(default_factory=list)
    timed: bool = False
    """Whether its label has time stamps."""

    @property
    def end_s(self) -> float:
        """Where the last utterance ends."""
        return self.placed[-1].start_s + self.placed[-1].shown_s if self.placed else 0.0


def lay_out(
    cuts: Sequence[Any], form: Literal["padded", "packed"], seed: str, tokens_of: LabelTokens, most_tokens: int
) -> list[Window30]:
    """The windows that utterances lie in; a function of the arguments alone.

    Packed, utterances follow one another in a drawn order, each whole in one window, as many as go into it. Where
    room is left, the next one begins at the end of a window with time stamps too and is cut by it, as it is when
    long audio is decoded; it then comes first in the window after it.

    Args:
        cuts: each at most 30 s.
        form: `packed`, or `padded`: one in each window.
        seed: of what is drawn.
        tokens_of: of a text, how many tokens a label with time stamps has for it.
        most_tokens: that a window's label may have.
    """
    draw = random.Random(seed)
    ordered = list(cuts)
    if form == "packed":
        draw.shuffle(ordered)
    windows: list[Window30] = []
    used = 0
    for cut in ordered:
        pause, timed, tokens = draw.uniform(*PAUSE_S), draw.random() < TIMED_SHARE, tokens_of(text_of(cut))
        if windows and form == "packed":
            last = windows[-1]
            start = last.end_s + pause
            room = FULL_WINDOW_S - start
            if cut.duration <= room and used + tokens <= most_tokens:
                last.placed.append(Placed(cut, start, cut.duration))
                used += tokens
                continue
            if last.timed and CUT_AT_LEAST_S <= room < cut.duration:
                last.placed.append(Placed(cut, start, room))
        windows.append(Window30([Placed(cut, 0.0, min(cut.duration, FULL_WINDOW_S))], timed))
        used = tokens
    return windows


def unheard_text(window: Window30) -> WindowText:
    """What is written of a window, by the bounds of its recordings: as many tokens as `heard` gives."""
    return _text(window, [(0.0, placed.shown_s) for placed in window.placed])


def heard(window: Window30) -> tuple[np.ndarray, WindowText]:
    """A window's samples, float32 (samples,) at 16 kHz up to its last utterance's end, and what is written of it.

    A pause is as loud as the quiet parts of the utterance before it.
    """
    joined = np.zeros(0, dtype=np.float32)
    spans = []
    for placed in window.placed:
        speech = load_audio(placed.cut, SAMPLING_RATE_HZ)[: round(placed.shown_s * SAMPLING_RATE_HZ)]
        start = round(placed.start_s * SAMPLING_RATE_HZ)
        joined = np.concatenate([pad(joined, start, "noise") if start else joined, speech])
        spans.append(spoken_span(speech))
    return joined, _text(window, spans)


def _text(window: Window30, spans: Sequence[tuple[float, float]]) -> WindowText:
    segments = []
    for number, (placed, (start, end)) in enumerate(zip(window.placed, spans, strict=True)):
        begin = placed.start_s + (start if number else min(start, FIRST_STAMP_AT_MOST_S))
        stop = placed.start_s + end if placed.whole else None
        segments.append(Segment(text_of(placed.cut), begin, stop))
    return WindowText(tuple(segments), window.timed)


def spoken_span(waveform: np.ndarray) -> tuple[float, float]:
    """Where speech begins and ends, in seconds: the recording without the silence at its edges.

    Args:
        waveform: float32, mono, 16 kHz, (samples,).

    Returns:
        Bounds within the recording, a margin of `MARGIN_S` kept; the whole of it where nothing is loud.
    """
    size = round(FRAME_S * SAMPLING_RATE_HZ)
    whole = len(waveform) / SAMPLING_RATE_HZ
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)  # (frames, samples)
    loudness = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)) if len(frames) else np.zeros(0)
    if not len(loudness) or loudness.max() == 0:
        return 0.0, whole
    loud = np.flatnonzero(loudness >= loudness.max() * 10 ** (-SPEECH_BELOW_PEAK_DB / 20))
    begin, end = loud[0] * FRAME_S - MARGIN_S, (loud[-1] + 1) * FRAME_S + MARGIN_S
    return max(0.0, float(begin)), min(whole, float(end))
