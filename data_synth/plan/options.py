"""The options of a synthesis."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from data_synth.channel.chain import ChannelOptions
from data_synth.gates.judge import GateOptions
from data_synth.plan.layout import StorageLayout, clip_format
from data_synth.plan.voices import parted_specs
from data_synth.text.spoken import Speaking
from speech_analogy.foundation.options import LanguageCode, Options, Range

MOST_CLIPS = 10_000  # of one text


class SynthesisOptions(Options):
    """How texts are to be spoken. `workers`, `isolated` and `timeout_s` change nothing about a clip that is made."""

    later: ClassVar = ("voices", "channel")

    engines: tuple[str, ...] = Field(default=("hibari",), description="voices, e.g. hibari, piper:joe, flite:slt+rms")
    voices_per_text: int = Field(default=1, ge=1, le=MOST_CLIPS, description="clips of every text")
    variants: bool = Field(
        default=True,
        description="where a text is to have more clips than the engines have voices: further ones made of them, such "
        "as joe~low; false: voices speak a text again",
    )
    seed: int = Field(default=0, ge=0)
    speed: tuple[float, float] = Field(default=(1.0, 1.0), description="range; 1.0 is the voice's own pace")
    parameters: dict[str, dict[str, int | float | str]] = Field(
        default_factory=dict, description="engine -> its own parameters, e.g. {'espeak-ng': {'pitch': 60}}"
    )
    voices: dict[str, dict[str, Range]] = Field(
        default_factory=dict,
        description="voice or engine -> its own speed, pitch (espeak-ng) or other number, or the range it is drawn "
        "from, e.g. {'espeak-ng:en-us': {'speed': [0.9, 1.2], 'pitch': [40, 70]}}",
    )
    gates: GateOptions | None = Field(default_factory=GateOptions, description="None switches them off")
    channel: ChannelOptions | None = Field(default=None, description="what clips that pass the gates go through")
    keep_rejected: bool = Field(default=False, description="store rejected clips too, to be listened to")
    attempts: int = Field(default=3, ge=1, le=100, description="per clip, each with a new seed")
    workers: int = Field(default=1, ge=1, description="processes that engines run in")
    isolated: bool = Field(
        default=True, description="false: a single worker is this process, which an engine that crashes takes along"
    )
    timeout_s: float | None = Field(
        default=None, gt=0.0, description="for one clip, loading included; None: 120, or what the engine asks for"
    )
    storage: StorageLayout = Field(
        default="flac", description="one file per clip, or shar, shar-opus: Lhotse Shar's tar shards"
    )
    sampling_rate: int = Field(default=16_000, ge=8_000, le=48_000, description="Hz")
    language: LanguageCode = "en"
    spoken: Speaking = Field(
        default="auto", description="numbers and the like in words for the engine; none: as the text is written"
    )

    def left_out(self) -> set[str]:
        """See `Options.left_out`: also `variants` where there are none, for earlier versions made none."""
        without = not self.variants or self.voices_per_text <= len(parted_specs(self.engines))
        return super().left_out() | ({"variants"} if without else set())

    @field_validator("engines", mode="before")
    @classmethod
    def _split(cls, engines: object) -> object:
        return tuple(engines.split(",")) if isinstance(engines, str) else engines

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.speed
        if not 0 < low <= high:
            raise ValueError(f"speed must be 0 < low <= high, not {low:g} and {high:g}")
        if clip_format(self.storage) == "opus" and self.sampling_rate not in (8_000, 12_000, 16_000, 24_000, 48_000):
            raise ValueError("opus takes a sampling_rate of 8000, 12000, 16000, 24000 or 48000 Hz")
        return self
