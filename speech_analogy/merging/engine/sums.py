"""The fast path of methods that only add: base + s·Σ w_i (θ_i − base), or Σ w_i θ_i, in buffers that are used again.

The operations, their order and so the bits are those of the general path in `merger.py`; what is saved is a new
tensor for every step, which costs several times the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_analogy.merging.arithmetic import cast_piece, shift_in_place
from speech_analogy.merging.methods.consensus import MIN_DIVISOR
from speech_analogy.merging.tensors import SUM_PIECE, TensorSource, pieces


@dataclass(frozen=True)
class WeightedSum:
    """One tensor of a merge that only adds.

    Args:
        base: what the terms are differences from, and are added to; None: a sum of weights.
        terms: (source, weight), at least one, in the order they are summed.
        normalize: divide by Σ w_i.
        scale: of the sum, before it is added to the base.
        compute: dtype of the arithmetic.
    """

    base: TensorSource | None
    terms: Sequence[tuple[TensorSource, float]]
    normalize: bool
    scale: float
    compute: torch.dtype

    def make(self, name: str, numel: int, dtype: torch.dtype, inputs: list[TensorSource]) -> Iterator[Tensor]:
        """Tensor `name` in flat pieces of `dtype`; a piece holds until the next one is asked for.

        Args:
            inputs: named when a value is not finite.
        """
        length = min(SUM_PIECE, numel)
        sources = [source for source, _ in self.terms] + ([] if self.base is None else [self.base])
        raw = {source.dtype(name): torch.empty(length, dtype=source.dtype(name)) for source in sources}
        scratch = torch.empty((3, length), dtype=self.compute)
        made = torch.empty(length, dtype=dtype)
        for start, stop in pieces(numel, SUM_PIECE):
            values = self._piece(name, start, stop, raw, scratch[:, : stop - start])
            yield cast_piece(values, dtype, name, inputs, made)

    def _piece(self, name: str, start: int, stop: int, raw: dict[torch.dtype, Tensor], scratch: Tensor) -> Tensor:
        base, total, term = scratch.unbind()
        if self.base is not None:
            base.copy_(self.base.read(name, start, stop, raw[self.base.dtype(name)]))
        for index, (source, weight) in enumerate(self.terms):
            values = term if index else total
            values.copy_(source.read(name, start, stop, raw[source.dtype(name)]))
            if self.base is not None:
                values.sub_(base)
            if weight != 1:
                values.mul_(weight)
            if index:
                total.add_(term)
        mass = sum(weight for _, weight in self.terms)
        if self.normalize and abs(mass) > MIN_DIVISOR:
            total.div_(mass)
        if self.base is None:
            return total
        return shift_in_place(base, total, self.scale)
