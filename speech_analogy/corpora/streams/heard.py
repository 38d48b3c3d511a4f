"""What was learned from, part by part: its digest with the audio's bytes, and the hashes by which it is known again.

Every byte of audio is read for it, so it is done after the last step, once, and remembered. The hashes of all parts are
put together on the disk, some of their range at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lhotse import CutSet

from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.corpora.splits import file_digest, files_of
from speech_analogy.corpora.streams.remembering import Arrays, place_of, remembered
from speech_analogy.corpora.streams.stream import Stream
from speech_analogy.foundation.hash_sets import HASH_CHARACTERS
from speech_analogy.foundation.progress import bar

KINDS = ("recordings", "speakers", "spoken")
HASH_TYPE = np.dtype(f"S{HASH_CHARACTERS}")
HASHES_AT_ONCE = 1 << 18
FIRST_CHARACTERS = 2  # of a hash, by which ranges are divided
ALPHABET = sorted("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Heard:
    """What a stream's audio is, once it was learned from.

    Args:
        stream: the speech; all of its audio is read, where it was not before.
        language: whose texts.
        scored_form: a text of it as it is scored.
        before: sets of hashes, packed, that are put together with these: of what a base had seen.

    Attributes:
        digest: of the cuts in their order with their audio's bytes: by part.
    """

    def __init__(
        self,
        stream: Stream,
        language: str,
        scored_form: Callable[[str], str],
        before: Mapping[str, str],
        *,
        progress: bool = False,
    ) -> None:
        self._stream, self._language, self._form, self._before = stream, language, scored_form, before
        said = hashlib.sha256()
        self._counts = {kind: len(before.get(kind, "")) // HASH_CHARACTERS for kind in KINDS}
        with bar(len(stream.parts), "digest of the speech", "parts", show=progress) as shown:
            for number in range(len(stream.parts)):
                found = self._part(number)
                said.update(found["digest"].tobytes())
                for kind in KINDS:
                    self._counts[kind] += len(found[kind])
                shown.update()
        self.digest = said.hexdigest()

    def packed(self) -> dict[str, Iterator[str]]:
        """The sets of hashes by kind, as `hash_sets.packed` writes them, piece by piece."""
        others = {kind: iter([text]) for kind, text in self._before.items() if kind not in KINDS}
        return {kind: self._together(kind) for kind in KINDS} | others

    def _together(self, kind: str) -> Iterator[str]:
        own = np.frombuffer(self._before.get(kind, "").encode(), HASH_TYPE)
        slices = max(1, -(-self._counts[kind] // HASHES_AT_ONCE))
        bounds = [_prefix(at * len(ALPHABET) ** FIRST_CHARACTERS // slices) for at in range(slices)]
        for low, high in zip(bounds, [*bounds[1:], None], strict=True):
            arrays = [_between(own, low, high)]
            arrays += [_between(self._part(number)[kind], low, high) for number in range(len(self._stream.parts))]
            yield np.unique(np.concatenate(arrays)).tobytes().decode()

    def _part(self, number: int) -> Arrays:
        return remembered(place_of("heard", self._stream.state(number), self._language), lambda: self._listen(number))

    def _listen(self, number: int) -> Arrays:
        cuts = CutSet.from_cuts(self._stream.part_cuts(number))
        files = {name: file_digest(name) for cut in cuts for name in files_of(cut)}
        seen = SeenSpeech.of(cuts, files, self._form).record()
        said = hashlib.sha256(self._stream.survey(number).found.digest.encode())
        for cut in cuts:
            said.update(" ".join(files[name] for name in files_of(cut)).encode() + b"\n")
        arrays = {kind: np.frombuffer(seen[kind].encode(), HASH_TYPE) for kind in KINDS}
        return arrays | {"digest": np.frombuffer(said.digest(), np.uint8)}


def write_record(path: Path, record: Mapping[str, Any], pieces: Mapping[str, Mapping[str, Iterator[str]]]) -> None:
    """Write JSON as `write_json` does, with long texts that are never in memory as a whole.

    Args:
        pieces: key -> key within it -> its text, of characters that JSON does not escape.
    """
    names = {(outer, inner): f"{outer} {inner} of {id(pieces)}" for outer in pieces for inner in pieces[outer]}
    whole = dict(record) | {outer: {inner: names[outer, inner] for inner in pieces[outer]} for outer in pieces}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    with path.open("w", encoding="utf-8") as file:
        for (outer, inner), name in names.items():
            before, _, text = text.partition(name)
            file.write(before)
            file.writelines(pieces[outer][inner])
        file.write(text)


def _prefix(at: int) -> bytes:
    characters = []
    for _ in range(FIRST_CHARACTERS):
        at, last = divmod(at, len(ALPHABET))
        characters.append(ALPHABET[last])
    return "".join(reversed(characters)).encode()


def _between(hashes: np.ndarray, low: bytes, high: bytes | None) -> np.ndarray:
    """Those of sorted hashes that are at least `low` and below `high`."""
    first = np.searchsorted(hashes, low)
    last = len(hashes) if high is None else np.searchsorted(hashes, high)
    return hashes[first:last].copy()
