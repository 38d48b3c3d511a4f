"""Where each key's row begins in a file: 16 bytes a row, so that a million rows are found without being held."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np

PREFIX_DIGITS = 16  # of a key, hexadecimal: 64 bits; keys that share them are distinguished by their rows
RECENT_KEYS = 16_384  # held in a dict until they are sorted in among the rest


class KeyIndex:
    """Key -> offsets of its rows, the oldest first. Keys are hexadecimal; only their first 64 bits are kept.

    So `offsets` may name rows of other keys too, about once in 10¹³ pairs: whoever reads the row sees its key.
    """

    def __init__(self) -> None:
        self._prefixes = array("Q")  # sorted
        self._offsets = array("Q")  # in bytes, beside their prefixes; of equal prefixes the oldest first
        self._recent: dict[int, list[int]] = {}

    def __len__(self) -> int:
        """The number of rows, a key that came twice counted twice."""
        return len(self._prefixes) + sum(map(len, self._recent.values()))

    def add(self, key: str, offset: int) -> None:
        """Note that a row of `key` begins at `offset`, behind all that were noted before.

        Raises:
            ValueError: the key is not hexadecimal.
        """
        self._recent.setdefault(_bits(key), []).append(offset)
        if len(self._recent) >= RECENT_KEYS:
            self.settle()

    def offsets(self, key: str) -> list[int]:
        """Offsets of the rows whose keys begin as `key` does, the newest last."""
        try:
            bits = _bits(key)
        except ValueError:
            return []
        old = self._offsets[bisect_left(self._prefixes, bits) : bisect_right(self._prefixes, bits)]
        return [*old, *self._recent.get(bits, ())]

    def beginning(self, prefix: str) -> list[int]:
        """Offsets of the rows whose keys begin with `prefix`, of 16 digits at most."""
        self.settle()
        low, high = (int(prefix.ljust(PREFIX_DIGITS, digit), 16) for digit in "0f")
        return list(self._offsets[bisect_left(self._prefixes, low) : bisect_right(self._prefixes, high)])

    def positions(self, key: str) -> range:
        """Places, in `groups()`'s numbering, of the rows that `offsets(key)` names."""
        self.settle()
        bits = _bits(key)
        return range(bisect_left(self._prefixes, bits), bisect_right(self._prefixes, bits))

    def offset(self, position: int) -> int:
        """The offset at a place."""
        return self._offsets[position]

    def groups(self) -> Iterator[range]:
        """Places of rows whose keys begin alike, in the order of keys; nearly always one place."""
        self.settle()
        begin, count = 0, len(self._prefixes)
        while begin < count:
            end = begin + 1
            while end < count and self._prefixes[end] == self._prefixes[begin]:
                end += 1
            yield range(begin, end)
            begin = end

    def settle(self) -> None:
        """Sort the recent keys in among the rest."""
        if not self._recent:
            return
        for bits, offsets in self._recent.items():
            self._prefixes.extend([bits] * len(offsets))
            self._offsets.extend(offsets)
        self._recent.clear()
        order = np.argsort(np.frombuffer(self._prefixes, np.uint64), kind="stable")  # the older rows come first
        self._prefixes, self._offsets = (_taken(column, order) for column in (self._prefixes, self._offsets))


def _taken(column: array[int], order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> array[int]:
    taken = array("Q")
    taken.frombytes(np.frombuffer(column, np.uint64)[order].tobytes())
    return taken


def _bits(key: str) -> int:
    return int.from_bytes(bytes.fromhex(key[:PREFIX_DIGITS]), "big")
