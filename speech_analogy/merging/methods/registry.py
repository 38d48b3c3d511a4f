"""Merge methods as data: each is a function on one tensor of every input, with its parameters declared; by
name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.merging.arithmetic import analogy_piece
from speech_analogy.merging.methods import geometry, spectral, statistics
from speech_analogy.merging.methods.consensus import agreeing, weighted_sum
from speech_analogy.merging.methods.parameters import Parameter
from speech_analogy.merging.methods.sparsify import breadcrumbs, dare, della, magnitude


@dataclass(frozen=True)
class Entry:
    """One input's tensor: its difference from the base, or its weights, as the method wants them."""

    values: Tensor
    parameters: Mapping[str, Any]
    draw: Callable[[], np.random.Generator]
    threshold: float | None = None
    statistics: Tensor | None = None

    @property
    def weight(self) -> float:
        """The input's weight."""
        return float(self.parameters["weight"])


@dataclass(frozen=True)
class Group:
    """One tensor of all inputs, in the dtype of the arithmetic."""

    name: str
    entries: tuple[Entry, ...]
    base: Tensor | None
    parameters: Mapping[str, Any]

    @property
    def values(self) -> list[Tensor]:
        """The inputs' tensors."""
        return [entry.values for entry in self.entries]

    @property
    def weights(self) -> list[float]:
        """The inputs' weights."""
        return [entry.weight for entry in self.entries]


@dataclass(frozen=True)
class Method:
    """A merge method.

    Args:
        merge: one tensor of all inputs -> one tensor: the difference to add to the base, or the weights.
        on: what it takes and gives: differences from the base (which is then needed), or weights.
        elementwise: entries do not depend on each other, so large tensors can be merged piece by piece.
        symmetric: the order of the inputs means nothing, so they are brought into one that the contents
            decide.
        base_is_input: the base is the first input, and the others are exactly as many as `others`.
        deep: the parameter `beta` makes the scale grow with depth (LiNeS).
        sums: `merge` is Σ w_i x_i, divided by Σ w_i where the parameter `normalize` says so; such methods have
            a faster path (`sums.py`).
        statistics: what each input must bring beside its weights: nothing, Fisher values, Gram matrices.
    """

    name: str
    merge: Callable[[Group], Tensor]
    on: Literal["deltas", "weights"]
    reference: str
    parameters: tuple[Parameter, ...] = ()
    elementwise: bool = False
    symmetric: bool = True
    base_is_input: bool = False
    others: int = 1
    deep: bool = False
    min_inputs: int = 1
    sums: bool = False
    statistics: Literal["", "fisher", "gram"] = ""

    def parameter(self, name: str) -> Parameter:
        """A parameter by name."""
        return next(parameter for parameter in self.parameters if parameter.name == name)


WEIGHT = Parameter("weight", float, default=1.0, per_model=True)
DENSITY = Parameter("density", float, default=1.0, per_model=True, low=0.0, high=1.0)
SCALE = Parameter("lambda", float, default=1.0)
SEED = Parameter("seed", int, default=0)


def _rescale(default: str) -> Parameter:
    """How survivors are rescaled; mergekit's boolean `rescale` is read as l1 or none (see `recipe.py`)."""
    mergekit = "l1" if default == "expectation" else "none"
    return Parameter("rescale", str, default, mergekit, choices=("none", "expectation", "l1"))


Sparsifier = Callable[[Entry, Mapping[str, Any]], Tensor]


def _no_sparsifier(entry: Entry, shared: Mapping[str, Any]) -> Tensor:
    return entry.values


def _magnitude(entry: Entry, shared: Mapping[str, Any]) -> Tensor:
    density = entry.parameters["density"]
    return magnitude(entry.values, density, threshold=entry.threshold, rescale=shared["rescale"])


def _dare(entry: Entry, shared: Mapping[str, Any]) -> Tensor:
    return dare(entry.values, entry.parameters["density"], entry.draw(), rescale=shared["rescale"])


def _della(entry: Entry, shared: Mapping[str, Any]) -> Tensor:
    own = entry.parameters
    return della(
        entry.values,
        own["density"],
        own["epsilon"],
        entry.draw(),
        rescale=shared["rescale"],
        ranks=shared["ranks"],
    )


def _breadcrumbs(entry: Entry, shared: Mapping[str, Any]) -> Tensor:
    own = entry.parameters
    return breadcrumbs(entry.values, own["density"], own["gamma"], rescale=shared["rescale"])


TRIM = Parameter("trim", str, "global", "tensor", choices=("global", "tensor"))
GAMMA = Parameter("gamma", float, default=0.01, per_model=True, low=0.0, high=1.0)
EPSILON = Parameter("epsilon", float, default=0.15, per_model=True, low=0.0, high=0.5)
RANKS = Parameter("ranks", str, "middle", "ends", choices=("middle", "ends"))

SPARSIFIERS: dict[str, tuple[Sparsifier, tuple[Parameter, ...]]] = {
    "none": (_no_sparsifier, ()),
    "magnitude": (_magnitude, (DENSITY, TRIM, _rescale("none"))),
    "dare": (_dare, (DENSITY, SEED, _rescale("expectation"))),
    "della": (_della, (DENSITY, EPSILON, SEED, RANKS, _rescale("expectation"))),
    "breadcrumbs": (_breadcrumbs, (DENSITY, GAMMA, _rescale("none"))),
}


def _sum(deltas: Sequence[Tensor], weights: Sequence[float], shared: Mapping[str, Any]) -> Tensor:
    return weighted_sum(deltas, weights, shared["normalize"])


def _elect(deltas: Sequence[Tensor], weights: Sequence[float], shared: Mapping[str, Any], by: Any) -> Tensor:
    return agreeing(deltas, weights, shared["normalize"], by, shared["undecided"])


UNDECIDED = Parameter("undecided", str, "none", "positive", choices=("none", "positive"))


def _normalize(default: bool, mergekit: bool) -> Parameter:
    return Parameter("normalize", bool, default, mergekit)


Consensus = Callable[[Sequence[Tensor], Sequence[float], Mapping[str, Any]], Tensor]
CONSENSUS: dict[str, tuple[Consensus, tuple[Parameter, ...]]] = {
    "sum": (_sum, (_normalize(False, False),)),
    "mean": (_sum, (_normalize(True, True),)),
    "elect": (partial(_elect, by="sum"), (UNDECIDED, _normalize(True, True))),
    "count": (partial(_elect, by="count"), (UNDECIDED, _normalize(True, True))),
}


def compose(
    sparsifier: str, consensus: str, name: str = "", reference: str = "", mergekit_normalize: bool | None = None
) -> Method:
    """A method from a sparsifier and a consensus, e.g. `compose("dare", "elect")`."""
    thin, thin_parameters = SPARSIFIERS[sparsifier]
    agree, agree_parameters = CONSENSUS[consensus]
    if mergekit_normalize is not None:
        agree_parameters = tuple(
            replace(parameter, mergekit=mergekit_normalize) if parameter.name == "normalize" else parameter
            for parameter in agree_parameters
        )

    def merge(group: Group) -> Tensor:
        deltas = [thin(entry, group.parameters) for entry in group.entries]
        return agree(deltas, group.weights, group.parameters)

    return Method(
        name or f"{sparsifier}+{consensus}",
        merge,
        on="deltas",
        reference=reference,
        parameters=(WEIGHT, SCALE, *thin_parameters, *agree_parameters),
        elementwise=sparsifier == "none",
        sums=sparsifier == "none" and agree is _sum,
    )


def _linear(group: Group) -> Tensor:
    return weighted_sum(group.values, group.weights, group.parameters["normalize"])


def _interpolate(group: Group) -> Tensor:
    t: float = group.parameters["t"]
    return group.values[0] * (1 - t) + group.values[1] * t


def _negate(group: Group) -> Tensor:
    return weighted_sum(group.values, group.weights).neg_()


def _analogy(group: Group) -> Tensor:
    c, plus, minus = (values.reshape(-1) for values in group.values)
    scale: float = group.parameters["lambda"]
    return c if scale == 0 else analogy_piece(c, plus, minus, scale, c.dtype)


def _slerp(group: Group) -> Tensor:
    return geometry.slerp(group.values[0], group.values[1], group.parameters["t"])


def _model_stock(group: Group) -> Tensor:
    return geometry.model_stock(group.values)


def _sce(group: Group) -> Tensor:
    return geometry.sce(group.values, group.parameters["select_topk"], group.parameters["undecided"])


def _tsv(group: Group) -> Tensor:
    return spectral.tsv_merge(group.values, group.weights)


def _iso_c(group: Group) -> Tensor:
    return spectral.iso_c(group.values, group.weights)


def _fisher(group: Group) -> Tensor:
    found = [entry.statistics for entry in group.entries]
    fishers = [fisher for fisher in found if fisher is not None]
    if len(fishers) < len(found):
        return weighted_sum(group.values, group.weights, normalize=True)
    return statistics.fisher_average(group.values, fishers, group.weights)


def _regmean(group: Group) -> Tensor:
    found = [entry.statistics for entry in group.entries]
    grams = [gram for gram in found if gram is not None]
    alpha = group.parameters["alpha"]
    return statistics.regmean(group.values, grams if len(grams) == len(found) else None, group.weights, alpha)


T = Parameter("t", float, low=0.0, high=1.0)
ALL: tuple[Method, ...] = (
    Method(
        "linear", _linear, "weights", "arXiv 2203.05482", (WEIGHT, _normalize(True, True)), elementwise=True, sums=True
    ),
    Method(
        "average", _linear, "weights", "arXiv 2203.05482", (WEIGHT, _normalize(True, True)), elementwise=True, sums=True
    ),
    compose("none", "sum", "task_arithmetic", "arXiv 2212.04089"),
    compose("none", "sum", "add", "arXiv 2212.04089"),
    Method(
        "interpolate",
        _interpolate,
        "weights",
        "WiSE-FT, arXiv 2109.01903; Speech-FT, 2502.12672",
        (T,),
        elementwise=True,
        symmetric=False,
        base_is_input=True,
    ),
    Method("slerp", _slerp, "weights", "Shoemake 1985", (T,), symmetric=False, base_is_input=True),
    Method(
        "analogy",
        _analogy,
        "weights",
        "arXiv 2406.02925, 2510.08047: base C, first model B (plus), second A (minus)",
        (SCALE,),
        elementwise=True,
        symmetric=False,
        base_is_input=True,
        others=2,
    ),
    Method("negate", _negate, "deltas", "arXiv 2212.04089, section 3", (WEIGHT, SCALE), elementwise=True),
    replace(
        compose("none", "sum", "lines", "arXiv 2410.17146, eq. 2: λ(l) = α + β(l − 1)/(L − 1)"),
        parameters=(WEIGHT, Parameter("alpha", float), Parameter("beta", float), _normalize(False, False)),
        deep=True,
    ),
    compose("magnitude", "elect", "ties", "arXiv 2306.01708"),
    compose("magnitude", "sum", "magnitude", "arXiv 2306.01708, step 1"),
    compose("dare", "sum", "dare_linear", "arXiv 2311.03099"),
    compose("dare", "elect", "dare_ties", "arXiv 2311.03099", mergekit_normalize=False),
    compose("della", "elect", "della", "arXiv 2406.11617"),
    compose("della", "sum", "della_linear", "arXiv 2406.11617"),
    compose("breadcrumbs", "sum", "breadcrumbs", "arXiv 2312.06795"),
    compose("breadcrumbs", "elect", "breadcrumbs_ties", "arXiv 2312.06795", mergekit_normalize=False),
    Method("model_stock", _model_stock, "deltas", "arXiv 2403.19522", min_inputs=2),
    Method(
        "sce",
        _sce,
        "deltas",
        "arXiv 2408.07990",
        (Parameter("select_topk", float, 1.0, low=0.0, high=1.0), UNDECIDED),
    ),
    Method("tsv_merge", _tsv, "deltas", "arXiv 2412.00081", (WEIGHT, SCALE)),
    Method("iso_c", _iso_c, "deltas", "arXiv 2502.04959", (WEIGHT, SCALE)),
    Method("fisher", _fisher, "weights", "arXiv 2111.09832", (WEIGHT,), statistics="fisher"),
    Method(
        "regmean",
        _regmean,
        "weights",
        "arXiv 2212.09849",
        (WEIGHT, Parameter("alpha", float, statistics.REGMEAN_ALPHA, low=0.0, high=1.0)),
        statistics="gram",
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in ALL}


def register(method: Method) -> None:
    """Make a method available by name."""
    if method.name in METHODS:
        raise ConfigError("a merge method of this name exists", field="name", value=method.name)
    METHODS[method.name] = method


def get_method(name: str) -> Method:
    """A method by name, or `SPARSIFIER+CONSENSUS`, e.g. `breadcrumbs+count`.

    Raises:
        ConfigError: no such method, with the nearest one.
    """
    if name in METHODS:
        return METHODS[name]
    sparsifier, plus, consensus = name.partition("+")
    if plus and sparsifier in SPARSIFIERS and consensus in CONSENSUS:
        return compose(sparsifier, consensus)
    near = difflib.get_close_matches(name, METHODS, n=1)
    raise ConfigError(
        "no such merge method",
        field="merge_method",
        value=name,
        do=f"did you mean {near[0]}?"
        if near
        else f"use one of {', '.join(METHODS)}, or one of {', '.join(SPARSIFIERS)} + one of {', '.join(CONSENSUS)}",
    )


def describe_methods() -> str:
    """Every method with its source, and its parameters with their defaults; `*` marks those of each model."""
    lines: list[str] = []
    for method in METHODS.values():
        lines += [f"{method.name:18}{method.reference}".rstrip()]
        told = [parameter.described() for parameter in method.parameters]
        lines += [f"{'':18}{', '.join(told)}"] if told else []
    lines += ["", f"or one of {', '.join(SPARSIFIERS)} + one of {', '.join(CONSENSUS)}, e.g. dare+elect"]
    lines += ["*: may differ from model to model; (x / y): the paper's default, and mergekit's where it differs"]
    return "\n".join(lines)
