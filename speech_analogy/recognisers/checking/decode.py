"""Decoding that notices loops and silence: the one way from batches of audio to transcripts, for every family."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from speech_analogy.recognisers.checking.loops import COMPRESSION_RATIO, compression_ratio, loops, without_loops
from speech_analogy.recognisers.checking.silence import BELIEVED, NO_SPEECH, is_silent
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.protocol import Attempt, LoopingTranscriber, Transcriber
from speech_analogy.recognisers.windows import Padding


@dataclass(frozen=True)
class SpeechBatch:
    """Utterances of one window, ready to be decoded."""

    features: torch.Tensor
    """(batch, ...), as the transcriber's `features` gives them."""
    durations_s: Sequence[float]
    silent: Sequence[bool]
    """Too quiet for speech."""


@dataclass(frozen=True)
class Decoded:
    """One utterance as it was decoded."""

    text: str
    one_pass: str
    """What the first pass wrote; `text`, unless that looped or was written on silence."""
    fell_back: bool = False
    """The first pass looped."""
    silent: bool = False
    """Silence, which has no words, whatever the first pass wrote."""


def speech_batch(
    transcriber: Transcriber,
    waveforms: Sequence[np.ndarray],
    durations_s: Sequence[float],
    window_s: float,
    padding: Padding = "silence",
) -> SpeechBatch:
    """Waveforms, float32 mono 16 kHz (samples,) each, as features of one window."""
    return SpeechBatch(
        transcriber.features(waveforms, window_s, padding), durations_s, [is_silent(wave) for wave in waveforms]
    )


def decode_batches(
    transcriber: Transcriber, batches: Iterable[SpeechBatch], *, beams: int = 1, fallback: bool = True
) -> Iterator[list[Decoded]]:
    """Decode batches in order; every utterance's transcript depends on this utterance alone.

    A transcript that loops (see `loops`) is left with one of each repeat; where that is not enough, it is decoded
    again, greedily and without repeats. Silence has no words: audio below `SILENCE_DBFS`, and, as in openai-whisper,
    audio of which the model says that nobody speaks while it does not believe its own words either.
    What does not loop and is not silent is what one pass writes, bit for bit.

    Args:
        beams: of the first pass; 1 is greedy.
        fallback: False: what one pass writes, always.
    """
    kept: deque[SpeechBatch] = deque()

    def fed() -> Iterator[tuple[torch.Tensor, Sequence[float]]]:
        for batch in batches:
            kept.append(batch)
            yield batch.features, batch.durations_s

    if not fallback:
        for texts in transcriber.decode_all(fed(), beams):
            kept.clear()
            yield [Decoded(text, text) for text in texts]
    elif family_of(transcriber).can_loop:
        looping = cast("LoopingTranscriber", transcriber)
        for attempts in looping.attempts(fed(), beams):
            yield _checked(looping, kept.popleft(), attempts)
    else:
        for texts in transcriber.decode_all(fed(), beams):
            silent = kept.popleft().silent
            yield [_heard(Decoded(text, text), none) for text, none in zip(texts, silent, strict=True)]


def _checked(transcriber: LoopingTranscriber, batch: SpeechBatch, attempts: Sequence[Attempt]) -> list[Decoded]:
    silent = list(batch.silent)
    doubtful = [row for row, one in enumerate(attempts) if one.text and one.log_probability < BELIEVED]
    doubtful = [row for row in doubtful if not silent[row]]
    if doubtful:
        for row, chance in zip(doubtful, transcriber.no_speech(batch.features[doubtful]), strict=True):
            silent[row] = chance > NO_SPEECH
    found = [
        Decoded(without_loops(one.text, cut_off=one.cut_off), one.text, loops(one.text, cut_off=one.cut_off))
        for one in attempts
    ]
    again = [row for row, one in enumerate(found) if not silent[row] and _repetitive(one)]
    if again:
        texts = transcriber.without_repeats(batch.features[again], [batch.durations_s[row] for row in again])
        for row, text in zip(again, texts, strict=True):
            found[row] = replace(found[row], text=without_loops(text))
    return [_heard(one, none) for one, none in zip(found, silent, strict=True)]


def _repetitive(found: Decoded) -> bool:
    return found.fell_back and compression_ratio(found.text) > COMPRESSION_RATIO


def _heard(found: Decoded, silent: bool) -> Decoded:
    return replace(found, text="", fell_back=False, silent=True) if silent else found
