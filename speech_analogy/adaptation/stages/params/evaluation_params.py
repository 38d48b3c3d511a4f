"""Parameters of the stages that transcribe and score, and of those that choose λ by scores."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_serializer

from speech_analogy.adaptation.recipe import EvaluationOptions, Strategy
from speech_analogy.adaptation.stages.params.base import (
    CHOICE_FILE,
    CURVE_FILE,
    DECODERS_FILE,
    HYPOTHESES_FILE,
    SCORE_FILE,
    Corner,
    Labelled,
    Located,
    Made,
    StageParams,
)
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.systems.entry import Direction


class Transcribed(StageParams):
    """What every evaluation is given."""

    system: str
    cuts: Located
    evaluation: EvaluationOptions = Field(description="its backend is settled: torch or ctranslate2")
    language: str

    @field_serializer("evaluation")
    def _what_scores_depend_on(self, options: EvaluationOptions) -> dict[str, Any]:
        """torch in float32 has no key, nor has one pass: what was made before there was a choice stays valid."""
        settled = {"part"}
        if options.backend == "torch" and options.compute != "bf16":
            settled |= {"backend", "compute"}
        if not options.fallback:
            settled.add("fallback")
        return options.model_dump(mode="json", exclude=settled)


class _Combined(Transcribed):
    """A system put together of three models in memory, θ_c + (λ + offset)(θ_plus − θ_minus)."""

    corners: tuple[Corner, Corner, Corner]
    offset: float | None = None
    base: str | None = Field(default=None, description="where a corner is the base itself")
    base_key: str | None = None


class EvaluateParams(Transcribed):
    """Transcribe a part with a trained model, the base, or the analogy at one λ."""

    kind: ClassVar = "evaluate"
    version: ClassVar = 4
    outputs: ClassVar = {"score": SCORE_FILE, "hypotheses": HYPOTHESES_FILE}
    optional: ClassVar = ("model", "corners", "scale", "base", "base_key")

    model: Made | None = None
    corners: tuple[Corner, Corner, Corner] | None = None
    scale: float | None = Field(default=None, description="λ")
    base: str | None = None
    base_key: str | None = None


class CombinedParams(_Combined):
    """Transcribe a part with a system that is put together in memory, at the λ that was chosen for it."""

    kind: ClassVar = "combined"
    version: ClassVar = 2
    outputs: ClassVar = EvaluateParams.outputs
    optional: ClassVar = ("offset", "base", "base_key", "direction", "seed", "scale", "choice")

    direction: Direction | None = Field(default=None, description="of a random control; None: the difference itself")
    seed: int | None = Field(default=None, description="of a random control")
    scale: float | None = Field(default=None, description="λ, where it is fixed")
    choice: Made | None = Field(default=None, description="of λ")


class SweepParams(_Combined):
    """Transcribe a part with every λ of a grid."""

    kind: ClassVar = "sweep"
    version: ClassVar = 2
    outputs: ClassVar = {"curve": CURVE_FILE}
    optional: ClassVar = ("offset", "base", "base_key", "domains", "unlabelled")

    scales: tuple[float, ...]
    domains: tuple[str, ...] | None = Field(default=None, description="that are kept")
    unlabelled: bool | None = Field(
        default=None, description="the part has no texts: there is no WER, only what was heard"
    )


class ScopesParams(_Combined):
    """Choose a λ for each scope by coordinate search."""

    kind: ClassVar = "scopes"
    version: ClassVar = 2
    outputs: ClassVar = {"choice": CHOICE_FILE}
    optional: ClassVar = ("offset", "base", "base_key")

    parts: tuple[Located, ...]
    scopes: tuple[str, ...]
    scales: tuple[float, ...]
    rounds: int
    start: Made = Field(description="the choice of the λ that the search starts from")


class PickParams(StageParams):
    """Choose a λ by curves, by agreement, or as given."""

    kind: ClassVar = "pick"
    version: ClassVar = 1
    outputs: ClassVar = {"choice": CHOICE_FILE}
    optional: ClassVar = ("scale", "sweeps")

    strategy: Strategy
    sweeps: Labelled | None = Field(default=None, description="curves, each with what was transcribed in words")
    scale: float | None = None


class InDecodersParams(StageParams):
    """Transcribe some of a part with one model in other decoders and in ours."""

    kind: ClassVar = "in_decoders"
    version: ClassVar = 1
    outputs: ClassVar = {"found": DECODERS_FILE}

    model: Made
    cuts: Located
    decoders: tuple[str, ...]
    utterances: int = Field(description="a seeded choice of the part's")
    seed: int
    language: str
    cluster: Cluster


class ScaleParams(StageParams):
    """Choose λ by the evaluations of the analogy at every λ of the grid."""

    kind: ClassVar = "scale"
    version: ClassVar = 1
    outputs: ClassVar = {"choice": CHOICE_FILE}

    parts: Labelled = Field(description="scores, each with its part")
