"""Real recordings as labelled cuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lhotse import MonoCut, SupervisionSegment

from data_synth.store.manifest import make_recording


def labelled_cut(name: str, path: Path, samples: int, rate: int, text: str, custom: dict[str, Any]) -> MonoCut:
    """A whole mono file of `samples` at `rate` Hz as a cut."""
    cut = make_recording(name, path, samples, rate).to_cut()
    cut.id, cut.custom = name, custom
    cut.supervisions = [SupervisionSegment(name, name, 0.0, cut.duration, 0, text, "en", "s")]
    return cut
