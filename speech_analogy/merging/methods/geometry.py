"""Methods that look at angles and variances between models: slerp, Model Stock, SCE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from speech_analogy.merging.methods.common import POSITION, UNDECIDED
from speech_analogy.merging.methods.consensus import Undecided, elect
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup
from speech_analogy.merging.methods.parameters import MethodParameter
from speech_analogy.merging.methods.selection import magnitudes_of
from speech_analogy.merging.tensors import pieces

PARALLEL = 0.9995  # |cos| above which an arc is a line in float32 (mergekit's dot_threshold)
MIN_NORM = 1e-8
MIN_SINGULAR = 1e-6


def inner(left: Tensor, right: Tensor) -> float:
    """Σ x·y in float64, in a fixed order."""
    one, two = left.reshape(-1), right.reshape(-1)
    return sum(float((one[start:stop].double() * two[start:stop].double()).sum()) for start, stop in pieces(len(one)))


def cosine(left: Tensor, right: Tensor) -> float:
    """Cosine of two flattened tensors, within [−1, 1]; 0 where one of them is zero."""
    norms = math.sqrt(inner(left, left) * inner(right, right))
    return max(-1.0, min(1.0, inner(left, right) / norms)) if norms else 0.0


def slerp(start: Tensor, end: Tensor, t: float) -> Tensor:
    """Spherical linear interpolation (Shoemake 1985) of two weight tensors: on the arc, not on the chord.

    The angle is that between the flattened tensors; both keep their own length. Nearly parallel or opposite
    tensors are interpolated linearly.
    """
    cos = 0.0
    if math.sqrt(inner(start, start)) > MIN_NORM and math.sqrt(inner(end, end)) > MIN_NORM:
        cos = cosine(start, end)
    if abs(cos) > PARALLEL:
        return start * (1 - t) + end * t
    angle = math.acos(cos)
    return start * (math.sin((1 - t) * angle) / math.sin(angle)) + end * (math.sin(t * angle) / math.sin(angle))


def model_stock(deltas: Sequence[Tensor]) -> Tensor:
    """Model Stock (arXiv 2403.19522, eq. 5): t·(mean of τ) with t = k·cosθ / (1 + (k − 1)·cosθ), for each tensor.

    cosθ is the mean over all pairs of the k task vectors. Where the denominator vanishes the base stays.
    """
    k = len(deltas)
    cosines = [cosine(one, two) for one, two in combinations(deltas, 2)]
    cos = sum(sorted(cosines)) / len(cosines)
    denominator = 1 + (k - 1) * cos
    t = k * cos / denominator if abs(denominator) > MIN_SINGULAR else 0.0
    total = deltas[0].clone()
    for delta in deltas[1:]:
        total.add_(delta)
    return total.mul_(t / k)


def sce(deltas: Sequence[Tensor], select: float = 1.0, undecided: Undecided = "none") -> Tensor:
    """SCE (FuseChat, arXiv 2408.07990, section 3.2): select, calculate, erase.

    Select the entries with the largest variance among the vectors (the share `select` of those that vary),
    calculate one coefficient for each vector from its squared entries, erase entries whose sign loses the
    election. Entries are divided by the coefficients that are left, as in the authors' code.
    """
    mean = deltas[0].clone()
    for delta in deltas[1:]:
        mean.add_(delta)
    mean.div_(len(deltas))
    if select < 1:
        keep = _most_varying(deltas, mean, select)
        deltas = [torch.where(keep, delta, torch.zeros_like(delta)) for delta in deltas]
    masses = [inner(delta, delta) for delta in deltas]
    everything = sum(sorted(masses))
    coefficients = [mass / everything if everything else 1 / len(deltas) for mass in masses]
    elected = elect(deltas, [1.0] * len(deltas), undecided=undecided)
    total, divisor = torch.zeros_like(mean), torch.zeros_like(mean)
    for delta, coefficient in zip(deltas, coefficients, strict=True):
        agrees = ((torch.sign(delta) == elected) & (delta != 0)).to(delta.dtype) * coefficient
        total.add_(delta * agrees)
        divisor.add_(agrees)
    return total / torch.where(divisor == 0, torch.ones_like(divisor), divisor)


def _most_varying(deltas: Sequence[Tensor], mean: Tensor, share: float) -> Tensor:
    variance = torch.zeros_like(mean)
    for delta in deltas:
        variance.add_((delta - mean).square_())
    varying = int(torch.count_nonzero(variance))
    rank = int(share * varying)
    if not rank:
        return torch.zeros_like(mean, dtype=torch.bool)
    threshold = magnitudes_of(variance, [rank])[0]
    return variance.float() >= threshold


def _slerp(group: TensorGroup) -> Tensor:
    return slerp(group.values[0], group.values[1], group.parameters["t"])


def _model_stock(group: TensorGroup) -> Tensor:
    return model_stock(group.values)


def _sce(group: TensorGroup) -> Tensor:
    return sce(group.values, group.parameters["select_topk"], group.parameters["undecided"])


SELECT = MethodParameter("select_topk", float, "share of the entries that are selected", 1.0, low=0.0, high=1.0)

SLERP = MergeMethod("slerp", _slerp, "weights", "Shoemake 1985", (POSITION,), symmetric=False, base_is_input=True)
MODEL_STOCK = MergeMethod("model_stock", _model_stock, "deltas", "arXiv 2403.19522", min_inputs=2)
SCE = MergeMethod("sce", _sce, "deltas", "arXiv 2408.07990", (SELECT, UNDECIDED))
