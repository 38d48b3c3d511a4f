"""LoRAHub: weights for a combination of adapters or vectors, found without gradients from a score
(Nevergrad)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from speech_analogy.errors import ConfigError

BOUND = 1.5  # weights lie in [-1.5, 1.5] (arXiv 2307.13269, section 4.1)
BUDGET = 40  # evaluations (the paper's)
REGULARISATION = 0.05  # α of the L1 penalty (section 3.3)
WORST = 1e9  # what the search is told of a score that is not finite
OPTIMISER = "OnePlusOne"
"""The paper's NGOpt can be named instead; in nevergrad 1.0.12 its surrogate model fails with NumPy 2.4."""


@dataclass(frozen=True)
class Trial:
    """One evaluation: weights, the score the callable gave, and the penalised value that was minimised."""

    weights: tuple[float, ...]
    score: float
    objective: float


@dataclass(frozen=True)
class WeightSearch:
    """The best trial, and all of them in order."""

    best: Trial
    trials: tuple[Trial, ...]


def find_weights(
    count: int,
    score: Callable[[Sequence[float]], float],
    *,
    budget: int = BUDGET,
    bound: float = BOUND,
    regularisation: float = REGULARISATION,
    seed: int = 0,
    optimiser: str = OPTIMISER,
) -> WeightSearch:
    """Minimise score(w) + α·Σ|w_i| over w in [−bound, bound]^count with Nevergrad (arXiv 2307.13269, eq. 3).

    The first point tried is zero: the base itself. A score that is not finite is never the best.

    Args:
        count: how many adapters or vectors.
        score: weights -> loss or error rate of the combination on a few examples; lower is better.
        optimiser: a name in Nevergrad's registry.

    Raises:
        ConfigError: nevergrad is not installed, a budget below 1, no finite score.
    """
    if budget < 1 or count < 1:
        raise ConfigError("the search needs at least one input and one evaluation", field="budget", value=budget)
    search = _optimiser(optimiser, count, budget, bound, seed)
    trials: list[Trial] = []
    for _ in range(budget):
        candidate = search.ask()
        weights = tuple(float(weight) for weight in candidate.value)
        found = float(score(weights))
        objective = found + regularisation * sum(abs(weight) for weight in weights)
        trials.append(Trial(weights, found, objective if math.isfinite(objective) else math.inf))
        search.tell(candidate, min(trials[-1].objective, WORST))
    best = min(trials, key=lambda trial: trial.objective)
    if not math.isfinite(best.objective):
        raise ConfigError("the score must be finite for some weights", field="score", value=best.score)
    return WeightSearch(best, tuple(trials))


def _optimiser(name: str, count: int, budget: int, bound: float, seed: int) -> Any:
    try:
        nevergrad = import_module("nevergrad")
    except ImportError:
        raise ConfigError(
            "the search for weights needs nevergrad", field="nevergrad", do="pip install 'speech-analogy[lorahub]'"
        ) from None
    space = nevergrad.p.Array(init=[0.0] * count, lower=-bound, upper=bound)
    space.random_state.seed(seed)
    if name not in nevergrad.optimizers.registry:
        raise ConfigError("nevergrad has no such optimiser", field="optimiser", value=name)
    return nevergrad.optimizers.registry[name](parametrization=space, budget=budget)
