"""What must be known of a part before the first step: how much it holds, what of, and that it can be learned from.

No audio is read: of a shard its manifest and the headers of its tar.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from lhotse import CutSet

from speech_analogy.corpora.cut_checks import sound_cuts, span_of
from speech_analogy.corpora.cuts import LONGEST_CUT_S, domain_of, require_short, speaker_of, text_of
from speech_analogy.corpora.seen import is_synthetic
from speech_analogy.corpora.shar.clips import clips_of
from speech_analogy.corpora.splits import digest, files_of
from speech_analogy.corpora.streams.parts import Part
from speech_analogy.corpora.streams.remembering import Arrays, place_of, remembered
from speech_analogy.errors import DataError

EDGE_S = 0.01
EDGES_S = np.arange(1, round(LONGEST_CUT_S / EDGE_S) + 1) / round(1 / EDGE_S)
"""Between these, durations are counted; a duration that is one of them belongs below it."""
HASH_BYTES = 8


@dataclass(frozen=True)
class Found:
    """What a part holds, but for its durations."""

    utterances: int
    seconds: float
    longest_text_bytes: int
    kinds: tuple[str, ...]
    domains: tuple[str, ...]
    voices: tuple[str, ...]
    digest: str
    """Of the cuts in their order, with the sizes of their audio in place of its bytes."""


@dataclass(frozen=True)
class Survey:
    """What a part holds.

    Attributes:
        durations: (len(EDGES_S),) int64: cuts by duration, up to each edge.
        ids, spans: sorted uint64, hashes of the cuts' names, and of what they hold of which file.
    """

    found: Found
    durations: np.ndarray
    ids: np.ndarray
    spans: np.ndarray

    @classmethod
    def of(cls, part: Part, state: list[Any]) -> Self:
        """The survey of a part as it is now, remembered until it changes.

        Args:
            state: what the part's files were like before they were read.

        Raises:
            DataError: the part cannot be read, or a cut in it cannot be learned from: see `cut_checks`; it has no
                text, or is longer than a window.
        """
        known = remembered(place_of("survey", state), lambda: _look(part))
        said = json.loads(known["found"].tobytes())
        durations = np.zeros(len(EDGES_S), np.int64)
        durations[known["lengths"]] = known["counts"]
        lists = {name: tuple(said[name]) for name in ("kinds", "domains", "voices")}
        return cls(Found(**{**said, **lists}), durations, known["ids"], known["spans"])


def _look(part: Part) -> Arrays:
    cuts = list(sound_cuts(part.read(), part.cuts))
    for cut in cuts:
        require_short(cut)
    lengths = Counter(int(np.searchsorted(EDGES_S, cut.duration)) for cut in cuts)
    spans = [span for cut in cuts if (span := span_of(cut)) is not None]
    found = Found(
        utterances=len(cuts),
        seconds=sum(cut.duration for cut in cuts),
        longest_text_bytes=max((len(text_of(cut).encode()) for cut in cuts), default=0),
        kinds=_different(str((cut.custom or {}).get("kind", "")) for cut in cuts),
        domains=_different(domain_of(cut) for cut in cuts),
        voices=_different(name for cut in cuts if is_synthetic(cut) and (name := speaker_of(cut))),
        digest=_rows(part, cuts),
    )
    return {
        "found": np.frombuffer(json.dumps(asdict(found)).encode(), np.uint8),
        "lengths": np.array(list(lengths), np.int64),
        "counts": np.array(list(lengths.values()), np.int64),
        "ids": np.sort(np.array([long_hash(cut.id) for cut in cuts], np.uint64)),
        "spans": np.sort(np.array([long_hash(span) for span in spans], np.uint64)),
    }


def long_hash(value: object) -> int:
    """A value's 64 bits."""
    return int.from_bytes(hashlib.blake2b(str(value).encode(), digest_size=HASH_BYTES).digest(), "big")


def _different(values: Any) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _rows(part: Part, cuts: list[Any]) -> str:
    """Digest of the cuts of a part in their order, with the sizes of their audio in place of its bytes."""
    sizes = [(name, size) for cut in cuts for name, size in _sizes(cut)]
    if part.tar is None:
        return digest(CutSet.from_cuts(cuts), dict(sizes))
    said = hashlib.sha256(json.dumps([size for _, size in sizes]).encode())
    for line in part.lines():  # names no path
        said.update(line)
    return said.hexdigest()


def _sizes(cut: Any) -> list[tuple[str, str]]:
    """What audio a cut is made of, each with its size in bytes."""
    clips = {clip.source: clip.size for clip in clips_of(cut)}
    found = []
    for name in files_of(cut):
        try:
            size = clips[name] if name in clips else Path(name).stat().st_size
        except OSError:
            raise DataError("the audio file is missing", file=name) from None
        found.append((name, f"{size} bytes"))
    return found
