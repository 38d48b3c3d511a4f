"""How several difference tensors become one: sum, mean, and the sign election of TIES. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Election = Literal["sum", "count"]
"""Who wins an entry's sign: the side with more mass (the paper), or with more vectors."""

Undecided = Literal["none", "positive"]
"""What a sum of exactly zero elects: neither sign (the paper's sgn(0) = 0), or plus (mergekit)."""

MIN_DIVISOR = 1e-8  # weights that cancel out are not divided by


def weighted_sum(deltas: Sequence[Tensor], weights: Sequence[float], normalize: bool = False) -> Tensor:
    """Σ w_i τ_i, or that divided by Σ w_i (task arithmetic, arXiv 2212.04089; averaging, 2203.05482)."""
    total = deltas[0] * weights[0]
    term = torch.empty_like(total) if len(deltas) > 1 else total
    for delta, weight in zip(deltas[1:], weights[1:], strict=True):
        total.add_(torch.mul(delta, weight, out=term))  # rounded twice: bits that do not depend on the place
    mass = sum(weights)
    return total.div_(mass) if normalize and abs(mass) > MIN_DIVISOR else total


def elect(
    deltas: Sequence[Tensor],
    weights: Sequence[float],
    election: Election = "sum",
    undecided: Undecided = "none",
) -> Tensor:
    """The elected sign of each entry: −1, 0 or 1 (TIES, arXiv 2306.01708, algorithm 1, step 2).

    Entries that a vector has trimmed (zeros) do not vote.
    """
    votes = torch.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        votes.add_(delta * weight if election == "sum" else torch.sign(delta * weight))
    signs = torch.sign(votes)
    return torch.where(signs == 0, torch.ones_like(signs), signs) if undecided == "positive" else signs


def agreeing(
    deltas: Sequence[Tensor],
    weights: Sequence[float],
    normalize: bool = True,
    election: Election = "sum",
    undecided: Undecided = "none",
) -> Tensor:
    """The disjoint mean of TIES (algorithm 1, step 3): only entries with the elected sign count.

    With weights, an entry is Σ w_i τ_i / Σ w_i over those that agree; without `normalize` it is their sum.
    """
    elected = elect(deltas, weights, election, undecided)
    total, mass = torch.zeros_like(elected), torch.zeros_like(elected)
    for delta, weight in zip(deltas, weights, strict=True):
        moved = delta * weight
        agrees = (torch.sign(moved) == elected) & (moved != 0)
        total.add_(torch.where(agrees, moved, torch.zeros_like(moved)))
        mass.add_(agrees.to(mass.dtype), alpha=weight)
    if not normalize:
        return total
    return total / torch.where(mass == 0, torch.ones_like(mass), mass)
