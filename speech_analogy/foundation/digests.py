"""Seeds and keys from content by sha256, so that they are the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import json

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

SEED_BYTES = 4  # 32-bit seeds: every generator in use takes them


def canonical_json(value: object) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal text."""
    return _ENCODER.encode(value)


def digest(value: object) -> str:
    """The sha256 (hexadecimal, 64 characters) of `value`'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def derive(*parts: str | int | float) -> int:
    """A seed in [0, 2**32) that depends on every part and on nothing else."""
    return int.from_bytes(bytes.fromhex(digest(list(parts)))[:SEED_BYTES], "big")


def sha256(content: bytes) -> str:
    """The sha256 of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()
