"""One finding of the doctor: what was looked at, its state, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "lack", "fault"]
"""Good; worth knowing; not here, and only some uses need it; nothing works without it."""


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        topic: engines, voices, weights, hub, machine or packages.
        mend: one command, or else what to do; empty where nothing is to be mended.
    """

    topic: str
    name: str
    state: State
    detail: str
    mend: str = ""
