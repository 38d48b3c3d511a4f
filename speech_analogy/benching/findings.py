"""What a bench found, as one typed object that goes to JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MIB = 1 << 20


class Finding(BaseModel):
    """Frozen, and every key known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Finding):
    """What it was measured on."""

    processor: str
    cores: int
    """That this process may use."""
    threads: int
    bf16: bool
    """Whether the processor computes in bf16, and does not merely emulate it."""
    memory_bytes: int
    versions: dict[str, str]


class Peak(Finding):
    """The fastest matrix product found: GFLOP/s, and the side of its squares; a multiply-add counts as two."""

    gflops: float
    side: int


class StageFinding(Finding):
    """One stage of the toolkit; None where a figure does not apply."""

    name: str
    utterances: int | None = None
    audio_s: float | None = None
    """Of speech, padding left out."""
    seconds: float | None = None
    gigabytes: float | None = None
    """Written."""
    gflops: float | None = None
    """Per second, achieved."""
    peak_share: float | None = None
    """`gflops` as a share of the matmul peak in the precision that was computed in."""
    outside_share: float | None = None
    """Share of the wall time outside forward, backward and optimiser."""
    peak_bytes: int | None = None
    """The peak resident set of the stage's process, with all that it imports."""
    note: str = ""
    missing: str = ""
    """Why there are no figures."""

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work per second of speech."""
        return self.seconds / self.audio_s if self.seconds and self.audio_s else None

    @property
    def utterances_per_second(self) -> float | None:
        return self.utterances / self.seconds if self.seconds and self.utterances else None

    @property
    def gigabytes_per_second(self) -> float | None:
        return self.gigabytes / self.seconds if self.seconds and self.gigabytes else None


class Findings(Finding):
    """All of it. `schema_version` grows when a key changes its meaning."""

    schema_version: int = 1
    base: str
    speech: str
    machine: Machine
    peak: dict[str, Peak]
    """By precision: fp32, bf16."""
    stages: list[StageFinding]
    seconds: float
    """How long the bench took."""
