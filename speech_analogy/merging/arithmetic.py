"""Exact building blocks on flat pieces of tensors: the same bits whatever the piece, thread or machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.tensors import TensorSource, pieces, require_finite, sums_to_finite

Scale = float | Callable[[str], float]
"""λ: one number, or one for each tensor by name."""


def shifted(base: Tensor, delta: Tensor, scale: float = 1.0, consume: bool = False) -> Tensor:
    """`base + scale·delta`, in the wider of both dtypes; where the shift is zero, `base` bit for bit (−0.0 too).

    Multiplication and addition are rounded one after the other, never fused, so that a value does not depend
    on where in a vector register it lies.

    Args:
        consume: `delta` has the result's dtype and may be written over.
    """
    step = (delta if scale == 1 else delta.mul_(scale)) if consume else delta * scale
    start = base.to(torch.promote_types(base.dtype, step.dtype))
    if int(torch.count_nonzero(step)) < step.numel():  # −0.0 + 0.0 would be 0.0
        return torch.where(step == 0, start, start + step)
    return step.add_(start) if step.dtype == start.dtype else start + step


def shift_in_place(base: Tensor, delta: Tensor, scale: float) -> Tensor:
    """The bits of `shifted`, in `delta`'s memory and without looking for zeros.

    The negative of the shift is taken from the base: x − (+0.0) is x for every x, −0.0 too, and adding +0.0 makes
    every zero of it a +0.0.

    Args:
        base, delta: of one dtype and length; `delta` is written over.
    """
    step = delta.mul_(-scale).add_(0.0)
    return torch.sub(base, step, out=step)


def analogy_piece(
    c: Tensor,
    plus: Tensor,
    minus: Tensor,
    scale: float,
    compute: torch.dtype,
    scratch: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """`c + scale·(plus − minus)` on one flat piece, in `compute`.

    The difference is taken in the order that makes an exact zero −0.0 after scaling: x + (−0.0) is x for
    every x, so where plus equals minus, c comes out bit for bit.

    Args:
        scratch: two buffers in `compute`, at least as long as the piece; the result lies in the first.
    """
    first, second, factor = (minus, plus, -scale) if scale > 0 else (plus, minus, scale)
    step, other = scratch or (torch.empty(len(c), dtype=compute), torch.empty(len(c), dtype=compute))
    step, other = step[: len(c)], other[: len(c)]
    step.copy_(first).sub_(second if second.dtype == compute else other.copy_(second))
    return step.mul_(factor).add_(c if c.dtype == compute else other.copy_(c))


def cast_piece(
    values: Tensor, dtype: torch.dtype, name: str, inputs: list[TensorSource], out: Tensor | None = None
) -> Tensor:
    """Cast a result once, at the end, and refuse what is not finite or does not fit.

    Args:
        inputs: what it was made from, to find where a NaN comes from.
        out: where to put it, at least as long as the piece.

    Raises:
        CheckpointError: an input that is not finite (with its file and tensor), or a result beyond `dtype`'s
            range.
    """
    made = values.to(dtype) if out is None else out[: len(values)].copy_(values)
    if not sums_to_finite(made):
        _require_fit(values, dtype, name, inputs)
    return made


def _require_fit(values: Tensor, dtype: torch.dtype, name: str, inputs: list[TensorSource]) -> None:
    limit = torch.finfo(dtype).max
    low, high = (bound.item() for bound in torch.aminmax(values))
    if -limit <= low and high <= limit:  # false for NaN too
        return
    for source in inputs:
        require_finite(source, name)
    raise CheckpointError(
        f"the result must fit into {str(dtype).removeprefix('torch.')}",
        field=name,
        value=high if high > limit else low,
        do="choose a smaller scale or a wider dtype",
    )


def dot(left: TensorSource, right: TensorSource, name: str) -> float:
    """Sum of products of two tensors, in float64, summed piece by piece in a fixed order."""
    total = 0.0
    for start, stop in pieces(left.numel(name)):
        one, two = left.piece(name, start, stop).double(), right.piece(name, start, stop).double()
        total += float((one * two).sum())
    return total


def squared_norm(source: TensorSource, name: str) -> float:
    """Sum of squares of one tensor, in float64."""
    total = 0.0
    for start, stop in pieces(source.numel(name)):
        total += float(source.piece(name, start, stop).double().square_().sum())
    return total


def require_scale(scale: float, field: str = "scale") -> float:
    """Refuse a scale that is not a finite number."""
    if not isinstance(scale, int | float) or not math.isfinite(scale):
        raise CheckpointError("a scale must be a finite number", field=field, value=scale)
    return float(scale)


def scale_of(scale: Scale, name: str) -> float:
    """λ for one tensor."""
    return require_scale(scale(name) if callable(scale) else scale)


def scales_of(scale: Scale, names: Iterable[str]) -> float | dict[str, float]:
    """λ for a model's record: the number, or one for each tensor."""
    if callable(scale):
        return {name: scale(name) for name in names}
    require_scale(scale)
    return scale
