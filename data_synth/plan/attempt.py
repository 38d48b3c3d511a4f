"""One attempt at a clip, as the ledger records it, and the key of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from speech_analogy.foundation.digests import digest
from speech_analogy.foundation.disk.inside import is_plain_name


class GateRow(BaseModel):
    """A gate's number and its thresholds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float | None
    minimum: float | None = None
    maximum: float | None = None


def _below(path: str) -> str:
    if not is_plain_name(path):
        raise ValueError("path must be one below the ledger's folder")
    return path


class LedgerRow(BaseModel):
    """One attempt at one clip. `path` (relative to the ledger), `duration_s` and `sha256` where it was kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")]  # bytes; also a file's name
    text_id: str
    text: str
    spoken: str | None = None  # what the engine was given, where it is not the text
    domain: str
    engine: str
    voice: str
    revision: str
    parameters: dict[str, int | float | str]
    seed: int
    attempt: int
    status: Literal["kept", "rejected"]
    reason: str | None = None
    gates: dict[str, GateRow] = {}
    channel: dict[str, float | str] | None = None  # what a kept clip went through, and what was drawn for it
    path: Annotated[str, AfterValidator(_below)] | None = None
    duration_s: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = None
    sha256: str | None = None

    @property
    def kept(self) -> bool:
        """Whether the clip passed every gate and was stored."""
        return self.status == "kept"


def clip_key(
    text: str,
    engine: str,
    voice: str,
    revision: str,
    parameters: dict[str, int | float | str],
    seed: int,
    spoken: str | None = None,
    channel: Mapping[str, Any] | None = None,
) -> str:
    """What a clip is made from, as a sha256: another key, another clip; the same key, the same clip.

    `spoken`, what the engine is given, enters where it is not the text, and the channel where there is one.
    """
    made_from: dict[str, Any] = {
        "text": text,
        "engine": engine,
        "voice": voice,
        "revision": revision,
        "parameters": parameters,
        "seed": seed,
    }
    if spoken not in (None, text):
        made_from["spoken"] = spoken
    if channel is not None:
        made_from["channel"] = channel
    return digest(made_from)
