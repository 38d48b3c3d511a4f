"""Random numbers that depend on seed, vector and tensor alone: not on threads, order or other tensors."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from speech_analogy.merging.tensors import pieces, raw_bytes

KEY_BYTES = 16


def generator(seed: int, tensor: str, vector: bytes | str) -> np.random.Generator:
    """A generator for one tensor of one vector.

    Args:
        seed: the user's.
        tensor: the tensor's name.
        vector: what identifies the vector: `content_key` of the tensor, so that neither a path nor the order
            of the inputs changes the draw.
    """
    key = vector if isinstance(vector, bytes) else vector.encode()
    digest = hashlib.sha256(f"{seed}|{len(tensor)}|{tensor}|".encode() + key).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:KEY_BYTES], "little")))


def content_key(values: Tensor, occurrence: int = 0) -> bytes:
    """A digest of a tensor's contents; `occurrence` distinguishes equal vectors in one merge."""
    digest = hashlib.sha256(str(occurrence).encode())
    flat = values.reshape(-1)
    for start, stop in pieces(len(flat)):
        digest.update(raw_bytes(flat[start:stop]))
    return digest.digest()


def uniform(draw: np.random.Generator, numel: int) -> Tensor:
    """Numbers in [0, 1), float32, shape (numel,)."""
    return torch.from_numpy(draw.random(numel, dtype=np.float32))
