"""What a recipe says of stand-in domains: source domains, or groups of source texts, that play the target."""

from __future__ import annotations

from pydantic import Field, field_validator

from speech_analogy.foundation.options import Options
from speech_analogy.systems.catalogue import SystemName
from speech_analogy.systems.sums import is_sum

USUAL = "mean_of_mixed_and_analogy"
"""The system that is published unless stand-ins favour another one: lowest or as low as the lowest in ten rows of
eleven of recipes/speechocean762/CURVES.md, and it never repeats itself."""
CANDIDATES = (
    "target_synthetic",
    "mixed",
    "analogy",
    "addition",
    USUAL,
    "mean_of_mixed_and_addition",
    "mean_of_mixed_and_target_synthetic",
)


class StandInOptions(Options):
    """Source domains, or groups of source texts, that play the target, so that λ, the published system and the expected
    gain are known without a recording of it; see `evaluation.stand_in_estimate`."""

    count: int = Field(
        default=3,
        ge=0,
        description="how many; each costs a C, A, B and mixed of its own. 0: the usual system is published at the "
        "fixed λ of `scale_selection`, and nothing is estimated",
    )
    domains: tuple[str, ...] = Field(default=(), description="which source domains; none: chosen by their size")
    systems: tuple[SystemName, ...] = Field(default=CANDIDATES, min_length=1, description="that may be published")
    scales: tuple[float, ...] = Field(default=(0.25, 0.5, 0.75, 1.0), min_length=1, description="λs that are tried")
    utterances: int = Field(default=60, ge=10, description="of each, transcribed at most")
    texts: int | None = Field(
        default=None, ge=10, description="of each, spoken at most; None: as many as the target has"
    )

    truth: bool = Field(
        default=False, description="every candidate is also evaluated on the test, to see what the decision was worth"
    )

    @field_validator("systems")
    @classmethod
    def _are_sums(cls, systems: tuple[str, ...]) -> tuple[str, ...]:
        unfit = [system for system in systems if not is_sum(system)]
        if unfit:
            raise ValueError(f"{', '.join(unfit)} cannot be decided on stand-ins: name sums of trained models")
        return systems
