"""Merges weighted by data: Fisher-weighted averaging and RegMean, and the gathering of what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from speech_analogy.errors import ConfigError, DataError
from speech_analogy.merging.methods.common import WEIGHT
from speech_analogy.merging.methods.consensus import weighted_sum
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup
from speech_analogy.merging.methods.parameters import MethodParameter
from speech_analogy.merging.tensors import TensorSource

MIN_FISHER = 1e-6
"""Added to every Fisher value: where no model has seen a gradient, the result is the mean (the paper's code)."""

REGMEAN_ALPHA = 0.9
"""How much of the off-diagonal of a Gram matrix is used (RegMean, section 4.2)."""


def fisher_average(weights: Sequence[Tensor], fishers: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Fisher-weighted averaging (arXiv 2111.09832, eq. 4): Σ λ_i F_i θ_i / Σ λ_i F_i, entry by entry.

    Args:
        fishers: the diagonal of each model's Fisher information, shaped like the weights, not negative.
    """
    total, mass = torch.zeros_like(weights[0]), torch.zeros_like(weights[0])
    for weight, fisher, scale in zip(weights, fishers, scales, strict=True):
        share = (fisher.to(weight.dtype) + MIN_FISHER) * scale
        total.add_(share * weight)
        mass.add_(share)
    return total / mass


def regmean(
    weights: Sequence[Tensor],
    grams: Sequence[Tensor] | None,
    scales: Sequence[float],
    alpha: float = REGMEAN_ALPHA,
) -> Tensor:
    """RegMean (arXiv 2212.09849, eq. 2): the linear layer nearest to all models' outputs on their own inputs.

    With W of shape (out, in) and G = XᵀX of shape (in, in): W = (Σ W_i G_i)(Σ G_i)⁻¹; the off-diagonal of G
    is scaled by `alpha` (section 4.2). Solved in float64. Tensors without a Gram matrix are averaged.
    """
    if grams is None:
        return weighted_sum(weights, scales, normalize=True)
    left = torch.zeros_like(weights[0], dtype=torch.float64)
    right = torch.zeros(grams[0].shape, dtype=torch.float64)
    for weight, gram, scale in zip(weights, grams, scales, strict=True):
        if gram.shape != (weight.shape[1], weight.shape[1]):
            raise DataError("a Gram matrix must be (in, in)", field="statistics", value=tuple(gram.shape))
        shrunk = gram.double() * alpha
        shrunk.diagonal().copy_(gram.double().diagonal())
        left += scale * (weight.double() @ shrunk)
        right += scale * shrunk
    ridge = MIN_FISHER * float(right.diagonal().mean()) or MIN_FISHER
    right.diagonal().add_(ridge)  # inputs that never occurred
    solved: Tensor = torch.linalg.solve(right, left, left=False)
    return solved.to(weights[0].dtype)


def gather_fisher(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Tensor],
    names: TensorSource | None = None,
) -> dict[str, Tensor]:
    """The diagonal of the empirical Fisher information: the mean over batches of the squared gradient.

    With one example a batch this is the paper's estimate; larger batches underestimate it, and are faster.

    Args:
        loss: (model, batch) -> scalar: the mean negative log likelihood of the batch.
        names: gather only parameters that this source has.

    Returns:
        parameter name -> float32 tensor of the parameter's shape; save it with `safetensors.torch.save_file`.
    """
    wanted = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (names is None or name in names)
    }
    totals = {name: torch.zeros_like(parameter, dtype=torch.float32) for name, parameter in wanted.items()}
    count = 0
    for batch in batches:
        model.zero_grad(set_to_none=True)
        loss(model, batch).backward()  # type: ignore[no-untyped-call]
        for name, parameter in wanted.items():
            if parameter.grad is not None:
                totals[name].addcmul_(parameter.grad.float(), parameter.grad.float())
        count += 1
    model.zero_grad(set_to_none=True)
    if not count:
        raise ConfigError("statistics need at least one batch", field="batches", value=0)
    return {name: total / count for name, total in totals.items()}


def gather_grams(
    model: nn.Module, batches: Iterable[Any], forward: Callable[[nn.Module, Any], Any]
) -> dict[str, Tensor]:
    """G = XᵀX / (number of rows) of the inputs of every `nn.Linear`, under the name of its weight.

    Args:
        forward: (model, batch) -> anything: runs the model.

    Returns:
        `<module>.weight` -> float32 tensor (in, in).
    """
    totals: dict[str, Tensor] = {}
    rows: dict[str, int] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def add(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            x = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float()  # (rows, in)
            totals[name] = totals.get(name, torch.zeros(x.shape[1], x.shape[1])) + x.T @ x
            rows[name] = rows.get(name, 0) + len(x)

        return add

    handles = [
        module.register_forward_pre_hook(hook(f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            for batch in batches:
                forward(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    if not totals:
        raise ConfigError("statistics need at least one batch through a linear layer", field="batches")
    return {name: total / rows[name] for name, total in totals.items()}


def _found(group: TensorGroup) -> list[Tensor] | None:
    """The statistics of every input; None where one of them has none."""
    found = [item.statistics for item in group.inputs if item.statistics is not None]
    return found if len(found) == len(group.inputs) else None


def _fisher(group: TensorGroup) -> Tensor:
    fishers = _found(group)
    if fishers is None:
        return weighted_sum(group.values, group.weights, normalize=True)
    return fisher_average(group.values, fishers, group.weights)


def _regmean(group: TensorGroup) -> Tensor:
    return regmean(group.values, _found(group), group.weights, group.parameters["alpha"])


ALPHA = MethodParameter(
    "alpha", float, "how much of the off-diagonal of a Gram matrix is used", REGMEAN_ALPHA, low=0.0, high=1.0
)

FISHER = MergeMethod("fisher", _fisher, "weights", "arXiv 2111.09832", (WEIGHT,), statistics="entries")
REGMEAN = MergeMethod("regmean", _regmean, "weights", "arXiv 2212.09849", (WEIGHT, ALPHA), statistics="inputs")
