"""Controls of the analogy: directions of the same length as τ_B − τ_A that carry nothing over."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from speech_analogy.merging.methods.randomness import generator
from speech_analogy.systems.entry import Direction

Change = Callable[[str, Tensor], Tensor]
"""(tensor's name, its difference, flat) -> what stands for it."""


def random_like(seed: int) -> Change:
    """A normal random vector of the same L2 norm, tensor by tensor; where nothing differs, nothing is added.

    Source: arXiv 2602.12323, where random adapters did nearly as well as real ones.
    """

    def change(name: str, tau: Tensor) -> Tensor:
        drawn = torch.from_numpy(generator(seed, name, "random_vector").standard_normal(tau.numel()))
        length = tau.double().norm()
        made: Tensor = drawn * (length / drawn.norm())
        return made.to(tau.dtype).reshape(tau.shape)

    return change


def shuffled(seed: int) -> Change:
    """The same values in another order, tensor by tensor: the size of every change stays, its place goes."""

    def change(name: str, tau: Tensor) -> Tensor:
        order = torch.from_numpy(generator(seed, name, "shuffled_vector").permutation(tau.numel()))
        return tau.reshape(-1)[order].reshape(tau.shape)

    return change


def change_of(direction: Direction, seed: int) -> Change | None:
    """What a direction makes of the difference; None where it is the difference itself."""
    return {"difference": None, "random": random_like(seed), "shuffled": shuffled(seed)}[direction]
