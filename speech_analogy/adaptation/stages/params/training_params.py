"""Parameters of the stages that fine-tune."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_serializer

from speech_analogy.adaptation.stages.params.base import (
    CHOICE_FILE,
    MODEL_FOLDER,
    SCORE_FILE,
    Located,
    Made,
    Output,
    StageParams,
)
from speech_analogy.training.options import FinetuneOptions


class _Trained(StageParams):
    """What every fine-tuning is given."""

    system: str
    sets: dict[str, Located] = Field(description="training set -> its cuts")
    base: str
    base_key: str = Field(description="fingerprint of the base's weights; empty where they are not there")
    training: FinetuneOptions
    choice: Made | None = Field(default=None, description="of learning rate and epochs, by a search")
    searched_as: str | None = Field(default=None, description="the system whose chosen values are taken")

    @field_serializer("training")
    def _what_weights_depend_on(self, options: FinetuneOptions) -> dict[str, Any]:
        return options.model_dump(mode="json", exclude={"save_every_s"})


class FinetuneParams(_Trained):
    """Fine-tune the base, or the model of another stage, on a system's training sets."""

    kind: ClassVar = "finetune"
    version: ClassVar = 4
    outputs: ClassVar = {"model": MODEL_FOLDER}
    optional: ClassVar = (
        "choice", "searched_as", "continues", "slower", "replay", "remember", "domains", "without", "cluster",
    )  # fmt: skip

    continues: Made | None = Field(default=None, description="the model that it starts from")
    slower: float | None = Field(default=None, description="times the learning rate")
    replay: float | None = Field(default=None, description="share of the real source speech")
    remember: Located | None = Field(default=None, description="cuts whose importance holds the encoder (EWC)")
    domains: tuple[str, ...] | None = Field(default=None, description="that are kept")
    without: tuple[str, ...] | None = Field(default=None, description="domains that are left out")
    cluster: tuple[Made, int] | None = Field(default=None, description="clusters of speakers, and the one that is kept")


class TrialParams(_Trained):
    """Fine-tune on a subset, score on held-out source speech, keep the score alone."""

    kind: ClassVar = "trial"
    version: ClassVar = 4
    outputs: ClassVar = {"score": SCORE_FILE}
    optional: ClassVar = ("choice", "searched_as")

    override: dict[str, int | float]
    source_utterances: int
    dev: Located


class ChoiceParams(StageParams):
    """Take each system's trial with the lowest WER."""

    kind: ClassVar = "choice"
    version: ClassVar = 1
    outputs: ClassVar = {"choice": CHOICE_FILE}

    trials: tuple[Output, ...] = Field(exclude=True)
