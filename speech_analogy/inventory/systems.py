"""The systems of the catalogue as a list: what each is trained on or made of, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from speech_analogy.systems.catalogue import (
    BY_ADAPTER,
    COMBINATIONS,
    ENTRIES,
    MEANS,
    TRAINED_ON,
    TRAININGS,
    VECTORS,
    Combination,
    has_model,
    needs_adapters,
    needs_target_recordings,
)


@dataclass(frozen=True)
class SystemRecord:
    """One system that a recipe can name.

    Attributes:
        trained_on: sets of speech of its own fine-tuning; none where it is made of finished models.
        made_of: a formula of other systems; empty where it is trained.
        needs: what a recipe must have for it.
        default: compared where a recipe names no systems.
        has_model: whether it can be published.
        explanation: one line, as in reports.
    """

    name: str
    trained_on: tuple[str, ...]
    made_of: str
    needs: tuple[str, ...]
    default: bool
    has_model: bool
    explanation: str


def list_systems() -> list[SystemRecord]:
    """Every system that can be compared, in the order of reports."""
    entries = sorted((entry for entry in ENTRIES.values() if entry.comparable), key=lambda entry: entry.place)
    return [
        SystemRecord(
            entry.name,
            tuple(TRAINED_ON.get(entry.name, ())),
            _made_of(entry.name),
            _needs(entry.name),
            entry.default,
            has_model(entry.name),
            entry.words.explanation,
        )
        for entry in entries
    ]


def _made_of(name: str) -> str:
    if name in TRAININGS:
        start = TRAININGS[name].start
        return f"continues {start}" if start else ""
    if name in MEANS:
        return f"mean of {', '.join(MEANS[name])}"
    if name in COMBINATIONS:
        return _combined(COMBINATIONS[name])
    return "target_synthetic + λ (source_real − source_synthetic)" if name == "analogy" else "the base as it is"


def _combined(how: Combination) -> str:
    """A combination as a formula, e.g. `mixed + λ (source_real − source_synthetic)`."""
    scale = "λ" if how.fixed is None else f"{how.fixed:g}"
    if how.chosen == "scopes":
        scale = "λ of each scope"
    if how.offset:
        scale = f"({scale} {'−' if how.offset < 0 else '+'} {abs(how.offset):g})"
    if how.plus == BY_ADAPTER:
        return "target_synthetic + λ (source_real − source_synthetic), in each of LoRA's factors"
    if how.plus.startswith(VECTORS):
        return f"{how.c} + {scale} (the source's vectors, merged by {how.plus.removeprefix(VECTORS)})"
    difference = f"({how.plus} − {how.minus})"
    if how.direction == "random":
        difference = f"(a random vector as long as {how.plus} − {how.minus})"
    elif how.direction == "shuffled":
        difference = f"({how.plus} − {how.minus}, shuffled)"
    return f"{how.c} + {scale} {difference}"


def _needs(name: str) -> tuple[str, ...]:
    needs = []
    if needs_target_recordings(name):
        needs.append("target recordings (split.field)")
    if needs_adapters(name):
        needs.append("LoRA adapters (training.lora)")
    return tuple(needs)
