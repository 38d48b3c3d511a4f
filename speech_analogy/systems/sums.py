"""Systems as sums of trained models: θ = Σ w_i θ_i, with weights that follow from how each system is made."""

from __future__ import annotations

from collections.abc import Mapping

from speech_analogy.systems.catalogue import BASE, BY_ADAPTER, COMBINATIONS, CORNERS, MEANS, TRAININGS, VECTORS

Shares = Mapping[str, float]
"""A training, or BASE -> the weight of its model in a sum; the weights of a system sum to 1."""


def is_sum(system: str) -> bool:
    """Is the system a sum of trained models and the base, whose weights depend on nothing but one λ?

    A system with several λs, one made of merged vectors or adapters, and a random control are not.
    """
    if system in (BASE, "zero_shot", "analogy") or system in TRAININGS:
        return True
    if system in MEANS:
        return all(map(is_sum, MEANS[system]))
    if system not in COMBINATIONS:
        return False
    how = COMBINATIONS[system]
    if how.direction != "difference" or how.chosen == "scopes":
        return False
    if how.fixed is None and "analogy" in how.parts:  # two λs: its own and the analogy's
        return False
    return all(part != BY_ADAPTER and not part.startswith(VECTORS) and is_sum(part) for part in how.parts)


def takes_scale(system: str) -> bool:
    """Does the sum depend on a λ, its own or that of a system which it is made of?"""
    return is_sum(system) and shares_of(system, 0.25) != shares_of(system, 0.75)


def shares_of(system: str, scale: float = 1.0) -> dict[str, float]:
    """The weight of every trained model, and of the base, in a system.

    Args:
        system: of the catalogue; see `is_sum`.
        scale: λ, its own or that of what it is made of; a λ that the catalogue fixes stays.

    Returns:
        training or BASE -> weight, without those of weight 0.

    Raises:
        ValueError: the system is no such sum.
    """
    if not is_sum(system):
        raise ValueError(f"{system} is not a sum of trained models")
    return {name: share for name, share in _shares(system, scale).items() if abs(share) > 1e-12}


def made_of_trainings(system: str) -> tuple[str, ...]:
    """The trainings in a system's sum, in the order in which they can be trained; BASE is not one."""
    parts = set(shares_of(system, 0.25)) | set(shares_of(system, 0.75))
    return tuple(name for name in TRAININGS if name in parts)


def _shares(system: str, scale: float) -> dict[str, float]:
    if system in (BASE, "zero_shot"):
        return {BASE: 1.0}
    if system in TRAININGS:
        return {system: 1.0}
    if system == "analogy":
        return _added([({CORNERS["c"]: 1.0}, 1.0), ({CORNERS["plus"]: 1.0}, scale), ({CORNERS["minus"]: 1.0}, -scale)])
    if system in MEANS:
        parts = MEANS[system]
        return _added([(_shares(part, scale), 1 / len(parts)) for part in parts])
    how = COMBINATIONS[system]
    step = (scale if how.fixed is None else how.fixed) + how.offset
    return _added([(_shares(how.c, scale), 1.0), (_shares(how.plus, scale), step), (_shares(how.minus, scale), -step)])


def _added(parts: list[tuple[dict[str, float], float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for shares, factor in parts:
        for name, share in shares.items():
            total[name] = total.get(name, 0.0) + factor * share
    return total
