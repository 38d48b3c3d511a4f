"""The speech of many parts: what is in it, and in which seeded order it is read, some parts at a time."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speech_analogy.corpora.cut_checks import sound_cuts
from speech_analogy.corpora.streams.once import require_once
from speech_analogy.corpora.streams.parts import Part, parts_in
from speech_analogy.corpora.streams.remembering import place_of, remembered
from speech_analogy.corpora.streams.survey import EDGES_S, Survey
from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import derive, digest
from speech_analogy.foundation.progress import bar

MOST_BUCKETS = 10
CUTS_PER_BUCKET_AT_LEAST = 64  # fewer would leave many batches short
BUCKETS_FROM_PARTS = 64  # whose durations settle the buckets
STATE_CHARACTERS = 16  # of what is kept of each part's state


@dataclass
class Contents:
    """What all parts hold together."""

    utterances: int = 0
    seconds: float = 0.0
    longest_text_bytes: int = 0
    kinds: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    voices: set[str] = field(default_factory=set)
    digest: str = ""
    """Of the cuts in their order, with the sizes of their audio in place of its bytes."""


class Stream:
    """Speech on disk, of which at most `buffer` cuts are in memory.

    Args:
        sources: folders of Shar and files of cuts.
        buffer: cuts that are shuffled with one another; the parts that they lie in are shuffled, too.
        progress: while parts are looked at that were not looked at before.

    Attributes:
        bins_s: durations, in seconds, that divide the buckets; empty: one bucket.
        buckets: (parts, buckets) int64: cuts of each part by bucket.

    Raises:
        DataError: as `parts_in`, `Survey.of` and `require_once`; there is no cut, or a part holds more than `buffer`.
    """

    def __init__(self, sources: Sequence[Path], buffer: int, *, progress: bool = False) -> None:
        self.parts, self.buffer = parts_in(sources), buffer
        self.contents = Contents()
        self._states: list[str] = []
        said, durations, first = hashlib.sha256(), [], np.zeros(len(EDGES_S), np.int64)
        rows: list[np.ndarray] = []
        with bar(len(self.parts), "look at the speech", "parts", show=progress) as shown:
            for number, part in enumerate(self.parts):
                survey = self._survey(part)
                self._count(part, survey, said)
                if number < BUCKETS_FROM_PARTS:
                    durations.append(survey.durations)
                    first += survey.durations
                if number == min(BUCKETS_FROM_PARTS, len(self.parts)) - 1:
                    self.bins_s, self._edges = _bins(first, buffer)
                    rows = [self._by_bucket(one) for one in durations]
                    durations.clear()
                elif number >= BUCKETS_FROM_PARTS:
                    rows.append(self._by_bucket(survey.durations))
                shown.update()
        if not self.contents.utterances:
            raise DataError("there is no cut in it", file=sources[0])
        self.buckets = np.array(rows)
        self.contents.digest = said.hexdigest()
        remembered(place_of("once", [digest(self._states)]), self._require_once)

    def chunks(self, seed: int, epoch: int) -> list[list[int]]:
        """The parts in the order of an epoch, by their numbers; of those in one list the cuts are shuffled together."""
        order = list(range(len(self.parts)))
        random.Random(derive("parts", seed, epoch)).shuffle(order)
        found: list[list[int]] = []
        room = 0
        for number in order:
            size = int(self.buckets[number].sum())
            if size > room:
                found.append([])
                room = self.buffer
            if size:
                found[-1].append(number)
                room -= size
        return found

    def cuts(self, chunk: Sequence[int]) -> list[Any]:
        """The cuts of some parts.

        Raises:
            DataError: a part is not what it was.
        """
        return [cut for number in chunk for cut in self.part_cuts(number)]

    def part_cuts(self, number: int) -> list[Any]:
        """The cuts of one part; errors as `cuts`."""
        self.state(number)
        part = self.parts[number]
        return list(sound_cuts(part.read(), part.cuts))

    def state(self, number: int) -> list[Any]:
        """What the files of a part are like, as they were from the first; errors as `cuts`."""
        part = self.parts[number]
        found = part.state()
        if digest(found)[:STATE_CHARACTERS] != self._states[number]:
            rule = "the speech has changed since it was first looked at"
            raise DataError(rule, file=part.tar or part.cuts, do="start again")
        return found

    def survey(self, number: int) -> Survey:
        """What is in a part."""
        return Survey.of(self.parts[number], self.state(number))

    def _survey(self, part: Part) -> Survey:
        state = part.state()
        self._states.append(digest(state)[:STATE_CHARACTERS])
        return Survey.of(part, state)

    def _count(self, part: Part, survey: Survey, said: Any) -> None:
        found, all_ = survey.found, self.contents
        if found.utterances > self.buffer:
            rule = f"a part of the speech must have at most {self.buffer} cuts, which is the buffer"
            do = "give a larger --buffer, unpack a .jsonl.gz with gunzip, or write smaller shards"
            raise DataError(rule, file=part.cuts, value=found.utterances, do=do)
        all_.utterances += found.utterances
        all_.seconds += found.seconds
        all_.longest_text_bytes = max(all_.longest_text_bytes, found.longest_text_bytes)
        for name in ("kinds", "domains", "voices"):
            getattr(all_, name).update(getattr(found, name))
        said.update(f"{found.utterances} {found.digest}\n".encode())

    def _by_bucket(self, durations: np.ndarray) -> np.ndarray:
        """(len(EDGES_S),) -> (buckets,)."""
        up_to = np.concatenate([[0], np.cumsum(durations)])  # [k]: cuts of at most EDGES_S[k - 1]
        bounds = up_to[[0, *(edge + 1 for edge in self._edges), len(durations)]]
        return np.diff(bounds)

    def _require_once(self) -> dict[str, np.ndarray]:
        require_once(self.parts, self.survey, self.contents.utterances)
        return {"cuts": np.array(self.contents.utterances)}


def _bins(durations: np.ndarray, buffer: int) -> tuple[list[float], list[int]]:
    """Durations between buckets of equal speech, as values of EDGES_S and as their places in it."""
    buckets = min(MOST_BUCKETS, min(buffer, int(durations.sum())) // CUTS_PER_BUCKET_AT_LEAST)
    if buckets < 2:
        return [], []
    speech = np.cumsum(durations * EDGES_S)
    wanted = speech[-1] * np.arange(1, buckets) / buckets
    edges = sorted({int(edge) for edge in np.searchsorted(speech, wanted) if edge < len(EDGES_S) - 1})
    return [float(EDGES_S[edge]) for edge in edges], edges
