"""What reports say of each system, as its entry has it: its label, what it is, who its rivals are."""

from __future__ import annotations

from speech_analogy.foundation.page import wording
from speech_analogy.systems.catalogue import CORNERS, ENTRIES
from speech_analogy.systems.entry import SystemWords

SUBJECT = "analogy"
"""The system that a report is about where the run has it."""

ADAPTED = CORNERS["c"]
"""What adapting is without the analogy: fine-tuning on synthetic speech of the target."""

RIVALS = tuple(
    name for _, name in sorted((entry.rival, name) for name, entry in ENTRIES.items() if entry.rival is not None)
)
"""What the analogy is measured against in the headline, in this order."""

MAIN = (*RIVALS, SUBJECT)
"""The systems whose hypotheses are printed under every clip."""


def described(name: str) -> SystemWords:
    """What is said of the system `name`; a name without an entry is its own short name."""
    return ENTRIES[name].words if name in ENTRIES else SystemWords(name.replace("_", " "), "")


def place(name: str) -> float:
    """Where a system stands in reports; one without an entry stands with the rivals, just before the analogy."""
    return ENTRIES[name].place if name in ENTRIES else ENTRIES[SUBJECT].place - 0.5


def label(name: str, scale: float | None = None) -> str:
    """The short name, with λ where there is one: `D: analogy, λ = 0.75`."""
    return described(name).short + ("" if scale is None else f", λ = {wording.scale(scale)}")
