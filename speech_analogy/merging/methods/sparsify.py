"""Sparsifiers: pure functions from a difference tensor to a thinner one (magnitude, DARE, DELLA, breadcrumbs)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.merging.methods.randomness import uniform
from speech_analogy.merging.methods.selection import kept, magnitudes_of
from speech_analogy.merging.tensors import pieces

Rescale = Literal["none", "expectation", "l1"]
"""What happens to the entries that stay: nothing, division by the probability of staying (the papers), or a
factor that restores the tensor's L1 norm (mergekit)."""

MIN_L1 = 1e-7  # below this norm, mergekit does not rescale


def magnitude(tau: Tensor, density: float, *, threshold: float | None = None, rescale: Rescale = "none") -> Tensor:
    """Keep the largest entries by magnitude (the trim step of TIES, arXiv 2306.01708, algorithm 1).

    Entries equal to the smallest one kept stay too, so the result does not depend on their order.

    Args:
        tau: any shape.
        density: the share of entries to keep, in [0, 1].
        threshold: keep |τ| ≥ threshold instead: the paper trims over all tensors of a vector at once
            (`selection.largest_magnitudes` over the whole vector), mergekit each tensor by itself (None).
        rescale: none, or l1 (mergekit's `rescale`).
    """
    require_share(density, "density")
    if density >= 1 or not tau.numel():
        return tau
    if density <= 0:
        return torch.zeros_like(tau)
    if threshold is None:
        threshold = magnitudes_of(tau, [kept(density, tau.numel())])[0]
    return _masked(tau, tau.abs() >= threshold, rescale, density)


def dare(tau: Tensor, density: float, draw: np.random.Generator, *, rescale: Rescale = "expectation") -> Tensor:
    """DARE (arXiv 2311.03099, eq. 3): drop each entry with probability p = 1 − density, divide the rest by 1 − p.

    The expectation of the result is τ. mergekit rescales by the L1 norm instead: `rescale="l1"`.
    """
    require_share(density, "density")
    if density >= 1:
        return tau
    if density <= 0:
        return torch.zeros_like(tau)
    return _masked(tau, (uniform(draw, tau.numel()) < density).reshape(tau.shape), rescale, density)


def della(
    tau: Tensor,
    density: float,
    epsilon: float,
    draw: np.random.Generator,
    *,
    rescale: Rescale = "expectation",
    ranks: Literal["middle", "ends"] = "middle",
) -> Tensor:
    """MagPrune of DELLA (arXiv 2406.11617, section 3.1): within a row, larger entries are likelier to stay.

    The probability of staying grows with the rank of the magnitude in equal steps of 2ε/n around `density`,
    and each entry that stays is divided by its own probability. The paper's ε is the width of the whole
    window, 2·epsilon here; `epsilon` is half of it, as in mergekit.

    Args:
        tau: a row is a slice along the first axis; a vector is one row.
        ranks: `middle` puts the n probabilities at the middles of n steps, so that their mean is `density`;
            `ends` stretches them from density − ε to density + ε (mergekit).

    Raises:
        ConfigError: density ± epsilon leaves (0, 1).
    """
    require_share(density, "density")
    if density >= 1:
        return tau
    if density <= 0:
        return torch.zeros_like(tau)
    if not (density - epsilon > 0 and density + epsilon < 1 and epsilon >= 0):
        raise ConfigError("density ± epsilon must stay between 0 and 1", field="epsilon", value=epsilon)
    if not tau.numel():
        return tau
    rows = tau.reshape(tau.shape[0] if tau.ndim > 1 else 1, -1)
    stay = torch.empty_like(rows, dtype=torch.float32)
    n = rows.shape[1]
    step = 1.0 / n if ranks == "middle" else 1.0 / max(1, n - 1)
    offset = 0.5 / n if ranks == "middle" else 0.0
    quantile = torch.arange(n, dtype=torch.float32) * step + offset  # (n,)
    by_rank = (density - epsilon) + 2 * epsilon * quantile
    block = max(1, (1 << 20) // n)  # rows sorted at once: a million entries
    for start in range(0, len(rows), block):
        order = rows[start : start + block].abs().argsort(dim=1, stable=True)
        stay[start : start + block] = torch.empty_like(order, dtype=torch.float32).scatter_(
            1, order, by_rank.expand(len(order), n)
        )
    keep = uniform(draw, rows.numel()).reshape(rows.shape) < stay
    if rescale == "expectation":
        return torch.where(keep, rows / stay, torch.zeros_like(rows)).reshape(tau.shape)
    return _masked(tau, keep.reshape(tau.shape), rescale, density)


def breadcrumbs(tau: Tensor, density: float, gamma: float, *, rescale: Rescale = "none") -> Tensor:
    """Model Breadcrumbs (arXiv 2312.06795, section 3): drop the largest entries (outliers) and the smallest (noise).

    Args:
        density: the share that stays, of each tensor.
        gamma: the share of the largest entries that is dropped (less where density + gamma > 1).
    """
    require_share(density, "density")
    require_share(gamma, "gamma")
    if density >= 1 or not tau.numel():
        return tau
    stays = kept(density, tau.numel())
    if not stays:
        return torch.zeros_like(tau)
    outliers = min(int(gamma * tau.numel()), tau.numel() - stays)
    high, low = magnitudes_of(tau, [outliers + 1, outliers + stays])
    size = tau.abs()
    return _masked(tau, (size <= high) & (size >= low), rescale, density)


def _masked(tau: Tensor, keep: Tensor, rescale: Rescale, density: float) -> Tensor:
    masked = torch.where(keep, tau, torch.zeros_like(tau))
    if rescale == "expectation":
        return masked / density
    if rescale == "l1":
        before, after = l1_norm(tau), l1_norm(masked)
        return masked * (before / after) if before >= MIN_L1 and after >= MIN_L1 else masked
    return masked


def l1_norm(values: Tensor) -> float:
    """Sum of magnitudes in float64, in a fixed order."""
    flat = values.reshape(-1)
    return sum(float(flat[start:stop].double().abs().sum()) for start, stop in pieces(len(flat)))


def require_share(value: float, field: str) -> None:
    """Refuse what is not a share between 0 and 1."""
    if not 0 <= value <= 1:
        raise ConfigError("a share must be a number from 0 to 1", field=field, value=value)
