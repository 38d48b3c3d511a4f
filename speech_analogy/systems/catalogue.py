"""What follows from the entries: the systems by name and by how they are made, and what each of them needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from speech_analogy.systems.entries import SYSTEMS
from speech_analogy.systems.entry import BASE, BY_ADAPTER, VECTORS, Combination, Mean, Training, TrainingSet

__all__ = [
    "BASE",
    "BY_ADAPTER",
    "COMBINATIONS",
    "CORNERS",
    "DEFAULT_SYSTEMS",
    "ENTRIES",
    "MEANS",
    "SEARCHED",
    "TRAINED_ON",
    "TRAININGS",
    "VECTORS",
    "VECTORS_OF",
    "WITHOUT_MODEL",
    "Combination",
    "SystemName",
    "Training",
    "has_model",
    "made_of",
    "needs_adapters",
    "needs_analogy",
    "needs_target_recordings",
    "searched_as",
    "trained_systems",
]

ENTRIES = {entry.name: entry for entry in SYSTEMS}

TRAININGS = {
    entry.name: entry.made
    for entry in sorted(SYSTEMS, key=lambda entry: entry.words.ceiling)  # the models of the method itself come first
    if isinstance(entry.made, Training)
}
"""In an order in which they can be trained."""
TRAINED_ON: dict[str, tuple[TrainingSet, ...]] = {name: training.sets for name, training in TRAININGS.items()}
COMBINATIONS = {entry.name: entry.made for entry in SYSTEMS if isinstance(entry.made, Combination)}
MEANS = {entry.name: entry.made.parts for entry in SYSTEMS if isinstance(entry.made, Mean)}
"""System -> the models it is the plain mean of."""
VECTORS_OF = {
    name: how.plus.removeprefix(VECTORS) for name, how in COMBINATIONS.items() if how.plus.startswith(VECTORS)
}
"""System -> how its vectors, one for each source domain or cluster of speakers, become one."""

# The corners of the analogy, τ_D = τ_C + λ(τ_B − τ_A).
CORNERS = {"c": "target_synthetic", "plus": "source_real", "minus": "source_synthetic"}

SEARCHED = tuple(name for name, training in TRAININGS.items() if training.searched)
"""Systems that train on real source speech, which choose their own learning rate and epochs on held-out source
speech. The others take source_real's: held-out real speech would only teach them to learn less."""

if TYPE_CHECKING:
    SystemName = str
else:
    SystemName = Literal[tuple(entry.name for entry in SYSTEMS if entry.comparable)]
"""What a recipe can compare."""

DEFAULT_SYSTEMS: tuple[SystemName, ...] = tuple(entry.name for entry in SYSTEMS if entry.default)


def made_of(system: str, given: bool = False) -> set[str]:
    """The system and all that it is made of, trainings among them, but not the trainings that those continue.

    Args:
        given: the analogy's τ_B − τ_A is a ready-made vector, so that A and B are not trained for it.
    """
    parts = MEANS.get(system) or (COMBINATIONS[system].parts if system in COMBINATIONS else ())
    if system == "analogy" or (system in COMBINATIONS and COMBINATIONS[system].chosen != "own") or BY_ADAPTER in parts:
        parts = (*parts, *([CORNERS["c"]] if given else CORNERS.values()))
    return {system}.union(*(made_of(part, given) for part in parts if part != system))


def needs_analogy(systems: tuple[str, ...]) -> bool:
    """Is λ of the analogy asked for, by itself or by what is made with it?"""
    made = set().union(*map(made_of, systems))
    return bool({"analogy", BY_ADAPTER} & made) or any(
        COMBINATIONS[name].chosen != "own" for name in made if name in COMBINATIONS
    )


def trained_systems(systems: tuple[str, ...], given: bool = False) -> list[str]:
    """The fine-tunings that the wanted systems need, in an order in which they can be done; `given` as of `made_of`."""
    needed = set().union(*(made_of(system, given) for system in systems))
    for name, training in reversed(TRAININGS.items()):
        if name in needed and training.start is not None:
            needed.add(training.start)
    return [name for name in TRAININGS if name in needed]


def searched_as(system: str) -> str:
    """The system whose chosen learning rate and epochs this one is trained with."""
    candidates = (system, TRAININGS[system].like)
    return next((name for name in SEARCHED if name in candidates), CORNERS["plus"])


def needs_target_recordings(system: str) -> bool:
    """Does a training that it needs use target recordings, so that a recipe must say which those are?"""
    return any("target_real" in TRAINED_ON[name] for name in trained_systems((system,)))


def needs_adapters(system: str) -> bool:
    """Is it made of LoRA adapters, so that the trainings must make some?"""
    return BY_ADAPTER in made_of(system)


def has_model(system: str) -> bool:
    """Does a run make one model of it? Not of the base as it is, nor of a control that is drawn several times."""
    if system in COMBINATIONS:
        return COMBINATIONS[system].direction == "difference"
    return system in TRAININGS or system in MEANS or system == "analogy"


WITHOUT_MODEL = tuple(name for name, entry in ENTRIES.items() if entry.comparable and not has_model(name))
"""The base as it is, and controls that are drawn several times."""
