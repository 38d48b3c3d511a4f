"""Parameters of the stages of stand-in domains: who sees what, scores of sums, the decision, the published model."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from speech_analogy.adaptation.stages.params.base import (
    CHOICE_FILE,
    HYPOTHESES_FILE,
    MODEL_FOLDER,
    SCORE_FILE,
    TEXTS_FILE,
    Located,
    Made,
    StageParams,
)
from speech_analogy.adaptation.stages.params.evaluation_params import Transcribed
from speech_analogy.adaptation.standing_in import StandIn

SCORES_FILE, DECISION_FILE = "scores.json", "decision.json"
NONE_ASKED_FOR = "none was asked for"


class StandInParams(StageParams):
    """Divide the source for one stand-in: what is left of it, real and synthetic, its texts, recordings of it."""

    kind: ClassVar = "stand_in"
    version: ClassVar = 1
    outputs: ClassVar = {
        "source_real": "source_real.jsonl.gz",
        "source_synthetic": "source_synthetic.jsonl.gz",
        "test": "test.jsonl.gz",
        "texts": TEXTS_FILE,
    }
    uses_a_model: ClassVar = False

    real: Located
    synthetic: Located
    seed: int
    stand_in: StandIn = Field(exclude=True)
    digest: str = Field(description="of the stand-in")

    @classmethod
    def of(cls, stand_in: StandIn, **more: Any) -> StandInParams:
        """For one stand-in."""
        content = [
            stand_in.label,
            stand_in.kind,
            sorted(stand_in.texts),
            [[text.id, text.text] for text in stand_in.spoken],
            sorted(stand_in.held_out),
            stand_in.utterances,
        ]
        words = json.dumps(content, ensure_ascii=False)
        return cls(stand_in=stand_in, digest=hashlib.sha256(words.encode()).hexdigest(), **more)


class SumsParams(Transcribed):
    """Transcribe a stand-in's recordings with every candidate: systems that are sums of its models, at every λ."""

    kind: ClassVar = "sums"
    version: ClassVar = 1
    outputs: ClassVar = {"scores": SCORES_FILE}
    optional: ClassVar = ("base", "base_key")

    models: dict[str, Made] = Field(description="training -> its model")
    systems: tuple[str, ...]
    scales: tuple[float, ...]
    zero_shot: Made = Field(description="the evaluation of the base on the same recordings")
    label: str = Field(description="of the stand-in")
    group: Literal["domain", "cluster"] = Field(description="what it is")
    texts: int = Field(description="that its C was trained on")
    unseen_speakers: bool
    base: str | None = None
    base_key: str | None = None


class DecisionParams(StageParams):
    """Decide by the stand-ins which system is published, at which λ, and estimate what it will bring."""

    kind: ClassVar = "decision"
    version: ClassVar = 1
    outputs: ClassVar = {"decision": DECISION_FILE, "choice": CHOICE_FILE}
    uses_a_model: ClassVar = False

    scores: tuple[Made, ...] = Field(description="of each stand-in; none: nothing is estimated")
    usual: str = Field(description="what is published unless the stand-ins favour another system")
    systems: tuple[str, ...] = Field(description="that may be published")
    fixed: float = Field(description="λ where there is no stand-in")
    short: str = Field(description="why there are fewer stand-ins than were asked for")


class PublishedParams(StageParams):
    """Write the model of the system that was decided on."""

    kind: ClassVar = "published"
    version: ClassVar = 1
    outputs: ClassVar = {"model": MODEL_FOLDER}

    models: dict[str, Made]
    decision: Made
    base: str
    base_key: str


class DecidedParams(Transcribed):
    """Transcribe a part with a system that is a sum of models, at the λ that the stand-ins chose for it."""

    kind: ClassVar = "decided"
    version: ClassVar = 1
    outputs: ClassVar = {"score": SCORE_FILE, "hypotheses": HYPOTHESES_FILE}
    optional: ClassVar = ("base", "base_key", "published_score", "published_hypotheses")

    models: dict[str, Made]
    decision: Made
    base: str | None = None
    base_key: str | None = None
    published_score: Made | None = Field(default=None, description="of the published model on the same part")
    published_hypotheses: Made | None = None
