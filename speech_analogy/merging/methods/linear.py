"""Methods that only add and multiply: averages, interpolation, negation, the analogy."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from speech_analogy.merging.arithmetic import analogy_piece
from speech_analogy.merging.methods.common import LAMBDA, POSITION, WEIGHT, normalize
from speech_analogy.merging.methods.consensus import weighted_sum
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup


def _linear(group: TensorGroup) -> Tensor:
    return weighted_sum(group.values, group.weights, group.parameters["normalize"])


def _interpolate(group: TensorGroup) -> Tensor:
    t: float = group.parameters["t"]
    return group.values[0] * (1 - t) + group.values[1] * t


def _negate(group: TensorGroup) -> Tensor:
    return weighted_sum(group.values, group.weights).neg_()


def _analogy(group: TensorGroup) -> Tensor:
    c, plus, minus = (values.reshape(-1) for values in group.values)
    scale: float = group.parameters["lambda"]
    return c if scale == 0 else analogy_piece(c, plus, minus, scale, c.dtype)


LINEAR = MergeMethod(
    "linear",
    _linear,
    "weights",
    "arXiv 2203.05482",
    (WEIGHT, normalize(True, True)),
    elementwise=True,
    sums=True,
)
AVERAGE = replace(LINEAR, name="average")
INTERPOLATE = MergeMethod(
    "interpolate",
    _interpolate,
    "weights",
    "WiSE-FT, arXiv 2109.01903; Speech-FT, 2502.12672",
    (POSITION,),
    elementwise=True,
    symmetric=False,
    base_is_input=True,
)
NEGATE = MergeMethod("negate", _negate, "deltas", "arXiv 2212.04089, section 3", (WEIGHT, LAMBDA), elementwise=True)
ANALOGY_OF_MODELS = MergeMethod(
    "analogy",
    _analogy,
    "weights",
    "arXiv 2406.02925, 2510.08047: base C, first model B (plus), second A (minus)",
    (replace(LAMBDA, meaning="λ of C + λ(B − A)", role=None),),
    elementwise=True,
    symmetric=False,
    base_is_input=True,
    others=2,
)
