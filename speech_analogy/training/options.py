"""The options of a fine-tuning, with the values that the toolkit's recipes were measured with."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from speech_analogy.foundation.options import LanguageCode, Options, Seed
from speech_analogy.recognisers.windows import Window


class LoraOptions(Options):
    """Low-rank adapters in place of whole matrices (arXiv 2106.09685)."""

    rank: int = Field(default=16, ge=1, le=4096)
    alpha: int = Field(default=32, ge=1, description="the adapters' product is scaled by alpha / rank")
    modules: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"), min_length=1, description="that get one"
    )


class EwcOptions(Options):
    """Elastic weight consolidation: parameters are pulled back to the base, each by what it means to other speech."""

    strength: float = Field(default=1.0, gt=0, description="times importance, whose mean is 1, times the distance")
    modules: tuple[str, ...] = Field(default=("encoder",), min_length=1, description="that are held")
    utterances: int = Field(default=100, ge=1, description="of the other speech, for the importance")


class FinetuneOptions(Options):
    """How a model is fine-tuned. An unknown key is an error."""

    later: ClassVar = ("seconds_at_once", "checkpointing", "freeze", "lora", "ewc", "compile", "packed", "padded")

    learning_rate: float = Field(default=3e-5, gt=0, description="peak of AdamW's rate")
    epochs: int = Field(default=2, ge=1)
    batch_size: int = Field(default=16, ge=1, description="utterances a step, over all processes")
    order: Literal["duration", "text"] = Field(
        default="duration",
        description="what shares a batch: utterances of similar duration, or of similar text length. By text, two sets "
        "with the same texts (a corpus and its synthetic twin) have the same texts in the same batches, in one order; "
        "not for several clips of each text, which would share a batch",
    )
    warmup_share: float = Field(default=0.1, ge=0, le=1, description="share of the steps that warm up linearly")
    weight_decay: float = Field(default=0.01, ge=0, description="on matrices; biases and norms have none")
    clip_norm: float = Field(default=1.0, gt=0, description="L2 norm that gradients are clipped to")
    window: Window = Field(default="trimmed", description="what the encoder sees: the utterance, or 30 s")
    packed: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the batches whose utterances are joined with pauses in 30 s windows, half of them "
        "labelled with time stamps: what other decoders and long audio ask of a model that is tuned in trimmed windows",
    )
    padded: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the batches whose utterances are each alone in a 30 s window, half of them labelled "
        "with time stamps; such a batch costs as much as several",
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto",
        description="autocast; weights are fp32 always. auto: the fastest that the machine has, which "
        "for a processor is measured",
    )
    seconds_at_once: Annotated[float, Field(gt=0)] | Literal["auto"] | None = Field(
        default="auto",
        description="of windows in one forward pass; a larger batch goes in parts whose gradients add up to its own. "
        "auto: on a processor, where memory would grow with the utterances and speed does not, 40 in bf16 and 20 in "
        "fp32; else the whole batch, as None",
    )
    checkpointing: bool = Field(
        default=False, description="activations are computed again in the backward pass: less memory, a third slower"
    )
    compile: bool = Field(
        default=False, description="torch.compile the encoder's layers: a C++ compiler is needed, and a minute at first"
    )
    freeze: tuple[str, ...] = Field(default=(), description="modules left as they are, e.g. encoder")
    lora: LoraOptions | None = Field(default=None, description="train low-rank adapters instead of the weights")
    ewc: EwcOptions | None = Field(
        default=None, description="hold parts to the base; requires speech that must not be forgotten"
    )
    seed: Seed = 0
    language: LanguageCode = "en"
    save_every_s: float = Field(default=60.0, ge=0, description="seconds between states that a killed run resumes from")

    @model_validator(mode="after")
    def _shares_of_one(self) -> Self:
        if self.packed + self.padded > 1:
            raise ValueError(
                f"packed and padded are shares of the batches: {self.packed:g} + {self.padded:g} is over 1"
            )
        return self
