"""The systems that are compared: what each is trained on, and how it is put together."""

from __future__ import annotations

from typing import Literal

TrainingSet = Literal["source_real", "source_synthetic", "target_synthetic", "target_real"]

# Which training sets a fine-tuned system sees, in one fine-tuning from the base.
TRAINED_ON: dict[str, tuple[TrainingSet, ...]] = {
    "source_synthetic": ("source_synthetic",),  # A
    "source_real": ("source_real",),  # B
    "target_synthetic": ("target_synthetic",),  # C
    "mixed": ("source_real", "target_synthetic"),
    "target_real": ("target_real",),
    "all_real": ("source_real", "target_real"),
}

# The corners of the analogy, τ_D = τ_C + λ(τ_B − τ_A).
CORNERS = {"c": "target_synthetic", "plus": "source_real", "minus": "source_synthetic"}

# Systems that hear real source speech in training choose their own learning rate and epochs on held-out source
# speech. The others take source_real's: held-out real speech would only tell them to learn less.
SEARCHED = ("source_real", "mixed")


def trained_systems(systems: tuple[str, ...]) -> list[str]:
    """The fine-tunings that the wanted systems need, in the order they are defined."""
    needed = set(systems) | (set(CORNERS.values()) if "analogy" in systems else set())
    return [name for name in TRAINED_ON if name in needed]


def searched_as(system: str) -> str:
    """The system whose chosen learning rate and epochs this one is trained with."""
    return system if system in SEARCHED else "source_real"
