"""How a model is distilled into a copy of itself for other windows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from speech_analogy.foundation.options import LanguageCode, Options, Seed
from speech_analogy.recognisers.windows import Window

States = Literal["last", "all"]


class DistilOptions(Options):
    """What both directions have in common. An unknown key is an error."""

    learning_rate: float = Field(default=1e-5, gt=0, description="peak of AdamW's rate")
    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=8, ge=1, description="utterances a step")
    warmup_share: float = Field(default=0.1, ge=0, le=1, description="share of the steps that warm up linearly")
    clip_norm: float = Field(default=1.0, gt=0, description="L2 norm that gradients are clipped to")
    states: States = Field(
        default="all", description="the decoder's hidden states that are matched: after its last layer, or after each"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(default="auto", description="of the student's autocast")
    seed: Seed = 0
    language: LanguageCode = "en"
    save_every_s: float = Field(default=60.0, ge=0, description="seconds between states that a killed run resumes from")


class ShortenOptions(DistilOptions):
    """How a model is made to work in trimmed windows."""

    epochs: int = Field(default=4, ge=1)
    window: Window = Field(default="trimmed", description="the student's")

    @field_validator("window")
    @classmethod
    def _is_trimmed(cls, window: Window) -> Window:
        if window == "full":
            raise ValueError("must be trimmed: the full window is the teacher's")
        return window


class WidenOptions(DistilOptions):
    """How a model that was tuned in trimmed windows is made to write the same in 30 s windows."""

    trimmed_share: float = Field(
        default=0.25, ge=0, lt=1, description="of the batches, shown in the model's own window: it must not forget it"
    )
    alone: float = Field(default=0.4, gt=0, le=1, description="share of the utterances that are shown alone")
    joined: int = Field(
        default=2, ge=0, description="how often an epoch joins all utterances in 30 s windows, in another order each"
    )
