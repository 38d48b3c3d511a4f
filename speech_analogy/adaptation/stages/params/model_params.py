"""Parameters of the stages that write models made of finished models."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_serializer

from speech_analogy.adaptation.recipe_options import RecipeWidening
from speech_analogy.adaptation.stages.params.base import (
    CLUSTERS_FILE,
    MODEL_FOLDER,
    WEIGHTS_FILE,
    Corner,
    Located,
    Made,
    Output,
    StageParams,
)


class AnalogyParams(StageParams):
    """Write θ_C + λ(θ_B − θ_A) at the chosen λ."""

    kind: ClassVar = "analogy"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER}

    corners: tuple[Made, Made, Made]
    choice: Made


class WidenedParams(StageParams):
    """Teach a model in 30 s windows what it hears in the window that it was tuned in."""

    kind: ClassVar = "widened"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER}

    model: Made
    sets: dict[str, Located] = Field(description="what it is taught on, as much of each")
    widen: RecipeWidening
    seed: int
    language: str


class MeanParams(StageParams):
    """Write the mean of several models of one base."""

    kind: ClassVar = "mean"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER}

    models: tuple[Made, ...]


class WrittenParams(StageParams):
    """Write a system that is otherwise put together in memory alone, at the λ chosen for it."""

    kind: ClassVar = "written"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER}
    optional: ClassVar = ("offset", "base", "base_key", "scale", "choice")

    corners: tuple[Corner, Corner, Corner]
    offset: float | None = None
    base: str | None = None
    base_key: str | None = None
    scale: float | None = None
    choice: Made | None = None


class ByAdapterParams(StageParams):
    """Write a model whose LoRA factors each take the analogy."""

    kind: ClassVar = "by_adapter"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER}

    corners: tuple[Made, Made, Made]
    choice: Made
    base: str
    base_key: str


class Group(StageParams):
    """A source domain, or a cluster of speakers, that has a vector of its own."""

    optional: ClassVar = ("domains", "cluster")

    label: str = Field(exclude=True)
    domains: tuple[str, ...] | None = None
    cluster: tuple[Made, int] | None = None


class VectorsParams(StageParams):
    """Write θ_0 plus a merge of several τ_B − τ_A."""

    kind: ClassVar = "vectors"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER, "weights": WEIGHTS_FILE}
    optional: ClassVar = ("texts", "told")

    base: str
    base_key: str
    way: str = Field(description="mean, ties, dare or nearest")
    groups: tuple[str, ...] = Field(description="labels, in the order of `models`")
    models: tuple[tuple[Output, Output], ...] = Field(exclude=True, description="real and synthetic, of each group")
    density: float
    seed: int
    target_texts: Output | None = Field(default=None, exclude=True, description="for `nearest`")
    clusters: Output | None = Field(default=None, exclude=True, description="for `nearest`, by speaker")
    texts: Located | None = Field(default=None, description="cuts of the real source speech, for `nearest`")
    told: tuple[Group, ...] | None = Field(default=None, description="for `nearest`: what each group keeps")

    @field_serializer("told")
    def _by_label(self, groups: tuple[Group, ...] | None) -> dict[str, Any] | None:
        return None if groups is None else {group.label: group.record() for group in groups}


class GapParams(StageParams):
    """Write θ_0 plus the mean of ready-made τ_B − τ_A, and θ_0 beside it: what stands for B and for A."""

    kind: ClassVar = "gap"
    version: ClassVar = 1
    outputs: ClassVar = {"plus": "plus", "minus": "minus"}

    base: str
    base_key: str
    files: tuple[str, ...] = Field(exclude=True, description="vector files; a moved one is the same")
    digests: tuple[str, ...] = Field(description="of their contents")


class ClustersParams(StageParams):
    """Divide the speakers by how they sound."""

    kind: ClassVar = "clusters"
    version: ClassVar = 1
    outputs: ClassVar = {"clusters": CLUSTERS_FILE}
    optional: ClassVar = ("sound",)

    cuts: Located
    base: str
    base_key: str
    clusters: int
    sound: str | None = Field(
        default=None,
        description="what a voice is described by, where it is not the model's own features: version 0.1.0 divided the "
        "speakers of a model that takes waveforms by their first samples, and what it made must not count as done",
    )
