"""What a recipe says of speech, training and controls: the sections that its data and its evaluation are not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from data_synth.channel.chain import ChannelOptions
from data_synth.plan.options import SynthesisOptions
from speech_analogy.foundation.options import Options


class RecipeChannel(Options):
    """A simulated channel on the real side; the synthetic side never sees it."""

    options: ChannelOptions
    train_copies: int = Field(default=1, ge=1, description="of every source training prompt, each its own seed")
    test_copies: int = Field(default=1, ge=1, description="of every held-out and test prompt, each its own seed")


class RecipeSynthesis(Options):
    """How source texts (A) and target texts (C) are spoken."""

    source: SynthesisOptions
    target: SynthesisOptions

    @field_validator("source", "target")
    @classmethod
    def _has_one_file_per_clip(cls, options: SynthesisOptions) -> SynthesisOptions:
        if options.storage not in ("flac", "opus"):
            raise ValueError(f"stages read one file per clip: storage must be flac or opus, not {options.storage}")
        return options


class SystemTraining(Options):
    """What one system is trained with in place of the recipe's `training`."""

    learning_rate: float | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, ge=1)
    order: Literal["duration", "text"] | None = None


class SearchOptions(Options):
    """Learning rate, then epochs, chosen on held-out source speech; see `adaptation.search`."""

    learning_rates: tuple[float, ...] = Field(min_length=1)
    epochs: tuple[int, ...] = Field(min_length=1, description="ascending; the rates are compared at the first")
    source_utterances: int = Field(default=600, ge=1, description="a seeded subset of the source training set")


class RecipeWidening(Options):
    """How the published model learns to write in 30 s windows what it writes in its own; see `training.distilling`."""

    utterances: int = Field(
        default=200, ge=1, description="half of source speech, half of the target's texts as TTS spoke them"
    )
    learning_rate: float = Field(default=1e-5, gt=0, description="peak of AdamW's rate")
    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=8, ge=1, description="utterances a step")
    trimmed_share: float = Field(
        default=0.25, ge=0, lt=1, description="of the batches, shown in the model's own window: it must not forget it"
    )
    alone: float = Field(default=0.4, gt=0, le=1, description="share of the utterances that are shown alone")
    joined: int = Field(
        default=2, ge=0, description="how often an epoch joins all utterances in 30 s windows, in another order each"
    )


class ControlOptions(Options):
    """What the controls and the rivals with a training of their own are made with."""

    seeds: int = Field(default=3, ge=1, description="draws of each random control; its row is their mean")
    continued_rate: float = Field(default=0.1, gt=0, description="times the learning rate, where a mixed model goes on")
    ewc_strength: float = Field(default=1.0, gt=0, description="of the pull in target_synthetic_ewc (EwcOptions)")
    replay_share: float = Field(default=0.25, gt=0, le=1, description="of the real source speech that is replayed")


class VectorOptions(Options):
    """What has a vector of its own in the systems analogy_of_vectors_*, and how the vectors are merged."""

    by: Literal["domain", "speaker"] = Field(default="domain", description="of the source; speakers go by clusters")
    clusters: int = Field(default=4, ge=2, description="of speakers")
    utterances: int = Field(default=50, ge=1, description="for training, that a source domain has at least")
    density: float = Field(default=0.5, gt=0, le=1, description="share of the entries that TIES and DARE keep")
