"""Methods of two steps, as data: a sparsifier thins each difference, a consensus makes them one (SPARSIFIER+CONSENSUS).

A new one under its own name is a line here and a line among the entry points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from speech_analogy.merging.methods.common import (
    DENSITY,
    LAMBDA,
    RANDOM_SEED,
    TRIM,
    UNDECIDED,
    WEIGHT,
    normalize,
    rescale,
)
from speech_analogy.merging.methods.consensus import Election, agreeing, weighted_sum
from speech_analogy.merging.methods.declaration import InputTensor, MergeMethod, TensorGroup
from speech_analogy.merging.methods.parameters import MethodParameter, Role
from speech_analogy.merging.methods.sparsify import breadcrumbs, dare, della, magnitude


@dataclass(frozen=True)
class Sparsifier:
    """The first step: (an input, the parameters of the merge) -> its thinner difference."""

    thin: Callable[[InputTensor, Mapping[str, Any]], Tensor]
    parameters: tuple[MethodParameter, ...] = ()


@dataclass(frozen=True)
class Consensus:
    """The second step: (differences, weights, the parameters of the merge) -> one difference.

    Args:
        sums: it is Σ w_i τ_i, or that divided by Σ w_i.
    """

    agree: Callable[[Sequence[Tensor], Sequence[float], Mapping[str, Any]], Tensor]
    parameters: tuple[MethodParameter, ...] = ()
    sums: bool = False


def _whole(item: InputTensor, shared: Mapping[str, Any]) -> Tensor:
    return item.values


def _magnitude(item: InputTensor, shared: Mapping[str, Any]) -> Tensor:
    density = item.parameters["density"]
    return magnitude(item.values, density, threshold=item.threshold, rescale=shared["rescale"])


def _dare(item: InputTensor, shared: Mapping[str, Any]) -> Tensor:
    return dare(item.values, item.parameters["density"], item.draw(), rescale=shared["rescale"])


def _della(item: InputTensor, shared: Mapping[str, Any]) -> Tensor:
    own = item.parameters
    return della(
        item.values,
        own["density"],
        own["epsilon"],
        item.draw(),
        rescale=shared["rescale"],
        ranks=shared["ranks"],
    )


def _breadcrumbs(item: InputTensor, shared: Mapping[str, Any]) -> Tensor:
    own = item.parameters
    return breadcrumbs(item.values, own["density"], own["gamma"], rescale=shared["rescale"])


GAMMA = MethodParameter(
    "gamma", float, "share of the largest entries that is dropped", default=0.01, per_model=True, low=0.0, high=1.0
)
EPSILON = MethodParameter(
    "epsilon",
    float,
    "how far the probability of staying reaches above and below the density",
    default=0.15,
    per_model=True,
    low=0.0,
    high=0.5,
)
RANKS = MethodParameter(
    "ranks",
    str,
    "where the probabilities lie in their steps",
    "middle",
    "ends",
    choices=("middle", "ends"),
)

SPARSIFIERS: dict[str, Sparsifier] = {
    "none": Sparsifier(_whole),
    "magnitude": Sparsifier(_magnitude, (DENSITY, TRIM, rescale("none"))),
    "dare": Sparsifier(_dare, (DENSITY, RANDOM_SEED, rescale("expectation"))),
    "della": Sparsifier(_della, (DENSITY, EPSILON, RANDOM_SEED, RANKS, rescale("expectation"))),
    "breadcrumbs": Sparsifier(_breadcrumbs, (DENSITY, GAMMA, rescale("none"))),
}


def _sum(deltas: Sequence[Tensor], weights: Sequence[float], shared: Mapping[str, Any]) -> Tensor:
    return weighted_sum(deltas, weights, shared["normalize"])


def _elect(deltas: Sequence[Tensor], weights: Sequence[float], shared: Mapping[str, Any], by: Election) -> Tensor:
    return agreeing(deltas, weights, shared["normalize"], by, shared["undecided"])


CONSENSUS: dict[str, Consensus] = {
    "sum": Consensus(_sum, (normalize(False, False),), sums=True),
    "mean": Consensus(_sum, (normalize(True, True),), sums=True),
    "elect": Consensus(partial(_elect, by="sum"), (UNDECIDED, normalize(True, True))),
    "count": Consensus(partial(_elect, by="count"), (UNDECIDED, normalize(True, True))),
}


def compose(
    sparsifier: str, consensus: str, name: str = "", reference: str = "", mergekit_normalize: bool | None = None
) -> MergeMethod:
    """A method from a sparsifier and a consensus, e.g. `compose("dare", "elect")`."""
    first, second = SPARSIFIERS[sparsifier], CONSENSUS[consensus]
    agreement = second.parameters
    if mergekit_normalize is not None:
        agreement = tuple(
            replace(parameter, mergekit=mergekit_normalize) if parameter.role is Role.NORMALIZE else parameter
            for parameter in agreement
        )

    def merge(group: TensorGroup) -> Tensor:
        deltas = [first.thin(item, group.parameters) for item in group.inputs]
        return second.agree(deltas, group.weights, group.parameters)

    return MergeMethod(
        name or f"{sparsifier}+{consensus}",
        merge,
        on="deltas",
        reference=reference,
        parameters=(WEIGHT, LAMBDA, *first.parameters, *agreement),
        elementwise=sparsifier == "none",
        sums=sparsifier == "none" and second.sums,
    )


def composed(name: str) -> MergeMethod | None:
    """The method of a name such as `breadcrumbs+count`; None for any other name."""
    sparsifier, plus, consensus = name.partition("+")
    return compose(sparsifier, consensus) if plus and sparsifier in SPARSIFIERS and consensus in CONSENSUS else None


TASK_ARITHMETIC = compose("none", "sum", "task_arithmetic", "arXiv 2212.04089")
ADD = replace(TASK_ARITHMETIC, name="add")
TIES = compose("magnitude", "elect", "ties", "arXiv 2306.01708")
MAGNITUDE = compose("magnitude", "sum", "magnitude", "arXiv 2306.01708, step 1")
DARE_LINEAR = compose("dare", "sum", "dare_linear", "arXiv 2311.03099")
DARE_TIES = compose("dare", "elect", "dare_ties", "arXiv 2311.03099", mergekit_normalize=False)
DELLA = compose("della", "elect", "della", "arXiv 2406.11617")
DELLA_LINEAR = compose("della", "sum", "della_linear", "arXiv 2406.11617")
BREADCRUMBS = compose("breadcrumbs", "sum", "breadcrumbs", "arXiv 2312.06795")
BREADCRUMBS_TIES = compose("breadcrumbs", "elect", "breadcrumbs_ties", "arXiv 2312.06795", mergekit_normalize=False)
LINES = replace(
    TASK_ARITHMETIC,
    name="lines",
    reference="arXiv 2410.17146, eq. 2: λ(l) = α + β(l − 1)/(L − 1)",
    parameters=(
        WEIGHT,
        MethodParameter("alpha", float, "the scale at the first layer", role=Role.SCALE),
        MethodParameter("beta", float, "what the scale gains from the first layer to the last", role=Role.GROWTH),
        normalize(False, False),
    ),
)
