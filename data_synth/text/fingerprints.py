"""Which of many strings were there before: 16 bytes a string, so that millions are distinguished in bounded memory."""

from __future__ import annotations

import hashlib
from array import array

import numpy as np
from numpy.typing import NDArray

WORD_BYTES, WORDS = 8, 2  # of a fingerprint: 128 bits of BLAKE2b
STRINGS_AT_ONCE = 65_536  # compared with their neighbours, so that few are copied


class Fingerprints:
    """Strings added one after the other, of each its fingerprint alone."""

    def __init__(self) -> None:
        self._words = array("Q")

    def __len__(self) -> int:
        """How many strings were added."""
        return len(self._words) // WORDS

    def add(self, *parts: str) -> None:
        """Add a string, or several that count as one."""
        hashed = hashlib.blake2b(digest_size=WORD_BYTES * WORDS)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            hashed.update(len(encoded).to_bytes(WORD_BYTES, "big") + encoded)
        self._words.frombytes(hashed.digest())

    def repeated(self, of: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Whether each string was there before; the first of its kind was not.

        Args:
            of: look at these alone: (strings,); the others are neither repeated nor there before.

        Returns:
            Of shape (strings,).
        """
        words = np.frombuffer(self._words, np.uint64).reshape(-1, WORDS)  # (strings, 2)
        places = np.arange(len(words)) if of is None else np.flatnonzero(of)
        order = places[np.lexsort(words[places].T)]  # stable: of equal strings the first comes first
        found = np.zeros(len(words), dtype=np.bool_)
        for begin in range(0, len(order) - 1, STRINGS_AT_ONCE):
            run = order[begin : begin + STRINGS_AT_ONCE + 1]
            found[run[1:]] = (words[run[1:]] == words[run[:-1]]).all(axis=1)
        return found
