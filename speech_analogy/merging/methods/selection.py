"""Exact order statistics of magnitudes over any number of tensors, in two passes and constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from speech_analogy.merging.tensors import PIECE_LENGTH, TensorSource, pieces

HALF_BITS = 16
HIGH_BINS = 1 << (HALF_BITS - 1)  # the sign bit of a magnitude is 0
LOW_BINS = 1 << HALF_BITS
LOW_MASK = LOW_BINS - 1

Stream = Callable[[], Iterable[Tensor]]
"""Yields flat pieces; called once for each pass."""


def largest_magnitudes(stream: Stream, ranks: Sequence[int]) -> list[float]:
    """The `rank`-th largest |x| (rank 1: the largest) for each rank, exact in float32.

    The bits of a non-negative float32 read as an integer keep its order, so the upper 16 bits are counted
    first, then the lower 16 bits of those values whose upper bits were hit.

    Args:
        ranks: each from 1 to the number of elements.
    """
    high = torch.zeros(HIGH_BINS, dtype=torch.int64)
    for piece in stream():
        high += torch.bincount(_bits(piece) >> HALF_BITS, minlength=HIGH_BINS)
    at_least = high.flip(0).cumsum(0).flip(0)  # values in this bin or above
    bins = [int((at_least >= rank).nonzero()[-1]) for rank in ranks]
    lows = {hit: torch.zeros(LOW_BINS, dtype=torch.int64) for hit in bins}
    for piece in stream():
        bits = _bits(piece)
        upper = bits >> HALF_BITS
        for hit, counts in lows.items():
            counts += torch.bincount(bits[upper == hit] & LOW_MASK, minlength=LOW_BINS)
    found: list[float] = []
    for hit, rank in zip(bins, ranks, strict=True):
        above = int(at_least[hit + 1]) if hit + 1 < HIGH_BINS else 0
        inside = lows[hit].flip(0).cumsum(0).flip(0)
        low = int((inside >= rank - above).nonzero()[-1])
        found.append(torch.tensor([hit << HALF_BITS | low], dtype=torch.int32).view(torch.float32).item())
    return found


def _bits(values: Tensor) -> Tensor:
    return values.reshape(-1).to(torch.float32).abs().view(torch.int32)


def magnitudes_of(tensor: Tensor, ranks: Sequence[int]) -> list[float]:
    """`largest_magnitudes` of one tensor; small ones are sorted, which is faster."""
    if tensor.numel() > PIECE_LENGTH:
        return largest_magnitudes(tensor_stream(tensor), ranks)
    ordered = tensor.reshape(-1).to(torch.float32).abs().sort(descending=True).values
    return [float(ordered[rank - 1]) for rank in ranks]


def tensor_stream(values: Tensor) -> Stream:
    """One tensor as a stream."""
    flat = values.reshape(-1)
    return lambda: (flat[start:stop] for start, stop in pieces(len(flat)))


def source_stream(source: TensorSource) -> Stream:
    """All tensors of a source as one stream."""
    return lambda: (source.piece(name, start, stop) for name in source for start, stop in pieces(source.numel(name)))


def kept(density: float, numel: int) -> int:
    """How many of `numel` entries a density keeps: rounded down, at least one unless the density is 0."""
    return max(1, int(density * numel)) if density > 0 and numel else 0
