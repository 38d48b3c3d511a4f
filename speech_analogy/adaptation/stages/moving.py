"""What stages that move weights share: where a corner is, which λ was chosen, how the arithmetic takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from speech_analogy.adaptation.stages.params.base import Corner, Output, StageParams
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.merging.arithmetic import Scale
from speech_analogy.merging.scope import Scope, ScopedScale
from speech_analogy.recognisers.weights import resolve_weights

Scopes = Mapping[str, float]
"""Scope -> its λ."""


def corner_path(work: Work[StageParams], corner: Corner, base: str | None) -> Path:
    """A model folder: another stage's, or the base's."""
    if corner is not None:
        return work.path(corner)
    assert base is not None, f"{work.name}: the base is not named"
    return resolve_weights(base)


def lambda_of(work: Work[StageParams], fixed: float | None, choice: Output | None) -> tuple[float, Scopes | None]:
    """λ, and a λ for each scope where they were chosen so."""
    if choice is None:
        assert fixed is not None, f"{work.name}: neither a λ nor a choice of one"
        return fixed, None
    chosen = work.read(choice)
    return float(chosen["scale"]), chosen.get("scopes")


def moved(scale: float, scopes: Scopes | None, offset: float | None) -> Scale:
    """λ as the arithmetic takes it; see `Combination.offset`."""
    return scoped(scopes, scale) if scopes else scale + (offset or 0.0)


def scoped(scales: Scopes, elsewhere: float) -> ScopedScale:
    """A λ for each scope, and one for all other tensors."""
    return ScopedScale(tuple((Scope.parse(scope), scale) for scope, scale in scales.items()), elsewhere)
