"""Utterances joined to long recordings, and the errors of a long transcript given back to the utterances."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile
from lhotse import CutSet, MonoCut, SupervisionSegment

from speech_analogy.corpora.audio import load_audio, recording_of
from speech_analogy.corpora.cuts import text_of
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, pad

PAUSES_S = (0.5, 2.0)  # drawn evenly between; as loud as the quietest frames of the utterance before


@dataclass(frozen=True)
class Joined:
    """A recording of several utterances, one after the other."""

    cut: MonoCut
    utterances: list[int]
    """By their numbers in the cuts that were joined."""


def join(cuts: Sequence[Any], minutes: float, folder: Path, seed: int = 0) -> list[Joined]:
    """Write the utterances, in their order, as recordings of about this length, the last one shorter.

    Args:
        cuts: with texts; each goes into one recording.
        minutes: a recording is closed when it reaches them.
        folder: for the recordings, 16 kHz FLAC; those that are there already are taken as they are.
        seed: of the pauses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    found: list[Joined] = []
    pieces: list[np.ndarray] = []
    rows: list[int] = []
    for row, cut in enumerate(cuts):
        samples = load_audio(cut, SAMPLING_RATE_HZ)
        pause = round(generator.uniform(*PAUSES_S) * SAMPLING_RATE_HZ)
        pieces.append(pad(samples, len(samples) + pause, "noise"))
        rows.append(row)
        if sum(map(len, pieces)) >= 60 * minutes * SAMPLING_RATE_HZ or row == len(cuts) - 1:
            found.append(_written(pieces, rows, cuts, folder / f"joined-{len(found):03d}.flac"))
            pieces, rows = [], []
    return found


def _written(pieces: list[np.ndarray], rows: list[int], cuts: Sequence[Any], path: Path) -> Joined:
    soundfile.write(path, np.concatenate(pieces), SAMPLING_RATE_HZ)
    recording = recording_of(path, path.stem)
    text = " ".join(text_of(cuts[row]).strip() for row in rows)
    supervision = SupervisionSegment(path.stem, path.stem, 0.0, recording.duration, text=text)
    cut = MonoCut(path.stem, 0.0, recording.duration, 0, supervisions=[supervision], recording=recording)
    return Joined(cut, rows)


def cuts_of_joined(joined: Sequence[Joined]) -> CutSet:
    return CutSet.from_cuts(one.cut for one in joined)


@dataclass(frozen=True)
class Shared:
    """Errors and words of each utterance, taken from long transcripts; both (utterances,) int64."""

    errors: np.ndarray
    words: np.ndarray


def shared_out(
    joined: Sequence[Joined], transcripts: Sequence[str], texts: Sequence[str], normalise: Callable[[str], str]
) -> Shared:
    """Align each long transcript with its reference, and give every error to the utterance of the word it stands at.

    Args:
        transcripts: of the recordings, in their order.
        texts: of the utterances, raw.
        normalise: the scorer's.
    """
    errors, words = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
    for one, transcript in zip(joined, transcripts, strict=True):
        reference = normalise(text_of(one.cut)).split()
        owners = owners_of(reference, [normalise(texts[row]).split() for row in one.utterances])
        rows = [one.utterances[owner] for owner in owners]
        np.add.at(words, rows, 1)
        for chunk in jiwer.process_words(" ".join(reference), normalise(transcript)).alignments[0]:
            if chunk.type == "insert":
                at = min(chunk.ref_start_idx, len(rows) - 1)
                errors[rows[at]] += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                np.add.at(errors, rows[chunk.ref_start_idx : chunk.ref_end_idx], 1)
    return Shared(errors, words)


def owners_of(reference: Sequence[str], utterances: Sequence[Sequence[str]]) -> list[int]:
    """For each word of a joined, normalised reference the utterance it is of, by its place.

    Normalising the whole may write what stands at a border otherwise (numbers run together): such a word belongs to
    the utterance of the word before it.
    """
    apart = [(index, word) for index, utterance in enumerate(utterances) for word in utterance]
    if [word for _, word in apart] == list(reference):
        return [index for index, _ in apart]
    owners: list[int | None] = [None] * len(reference)
    matcher = difflib.SequenceMatcher(None, reference, [word for _, word in apart], autojunk=False)
    for start, other, size in matcher.get_matching_blocks():
        for offset in range(size):
            owners[start + offset] = apart[other + offset][0]
    last = next((owner for owner in owners if owner is not None), 0)
    filled = []
    for owner in owners:
        last = last if owner is None else owner
        filled.append(last)
    return filled
