"""That each cut comes once, among more cuts than memory holds: by hashes, some of their range at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speech_analogy.corpora.cut_checks import span_of
from speech_analogy.corpora.streams.parts import Part
from speech_analogy.corpora.streams.survey import Survey, long_hash
from speech_analogy.errors import DataError

HASHES_AT_ONCE = 1 << 18
HASH_BITS = 64


def require_once(parts: Sequence[Part], survey: Callable[[int], Survey], total: int) -> None:
    """Refuse two cuts of one name, or of one part of one file, that lie in different parts of the speech.

    Args:
        survey: of a part, by its number; it has looked within the part.
        total: cuts in all parts.

    Raises:
        DataError: there are such.
    """
    slices = -(-total // HASHES_AT_ONCE)
    for at in range(slices):
        low, high = ((number << HASH_BITS) // slices for number in (at, at + 1))
        for kind in ("ids", "spans"):
            within = [_between(getattr(survey(number), kind), low, high) for number in range(len(parts))]
            found = np.sort(np.concatenate(within))
            for value in np.unique(found[1:][found[1:] == found[:-1]]):
                _refuse([part for part, own in zip(parts, within, strict=True) if value in own], kind, int(value))


def _between(hashes: np.ndarray, low: int, high: int) -> np.ndarray:
    """Those of sorted uint64 hashes that are at least `low` and below `high`, which may be 2**64."""
    first = np.searchsorted(hashes, np.uint64(low))
    last = len(hashes) if high >> HASH_BITS else np.searchsorted(hashes, np.uint64(high))
    return hashes[first:last].copy()


def _refuse(parts: Iterable[Part], kind: str, value: int) -> None:
    """Look at the cuts themselves: different ones may have one hash."""
    known: dict[Any, tuple[str, Path]] = {}
    for part in parts:
        for cut in part.read():
            own = cut.id if kind == "ids" else span_of(cut)
            if own is None or long_hash(own) != value:
                continue
            if own not in known:
                known[own] = (cut.id, part.cuts)
            elif kind == "ids":
                do = f"give every cut an id of its own; it is in {known[own][1]} too"
                raise DataError("two cuts have the same id", file=part.cuts, field="id", value=cut.id, do=do)
            else:
                rule = f"{cut.id}: the same part of the same recording is a cut already"
                do = f"leave one of them out: it would count twice; the other is in {known[own][1]}"
                raise DataError(rule, file=part.cuts, field="recording", value=known[own][0], do=do)
