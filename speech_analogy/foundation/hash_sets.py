"""Sets of short hashes as text: what a model folder records of recordings and speakers without naming them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

HASH_BYTES = 6  # 10,000 against 1,000,000 others coincide by chance once in 28,000 times
HASH_CHARACTERS = 8  # of base64, without padding


def short_hash(*parts: object) -> str:
    """HASH_CHARACTERS characters that stand for these values together."""
    said = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(said.encode(), digest_size=HASH_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()


def packed(hashes: Iterable[str]) -> str:
    """A set of short hashes as one text, in order."""
    return "".join(sorted(set(hashes)))


def unpacked(text: str) -> frozenset[str]:
    """What `packed` packed."""
    return frozenset(text[at : at + HASH_CHARACTERS] for at in range(0, len(text), HASH_CHARACTERS))
