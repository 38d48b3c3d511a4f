"""What a model folder says of itself: its type and its provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech_analogy.foundation.model_files import model_json
from speech_analogy.merging.naming import without_paths


def model_type_of(folder: Path) -> str | None:
    """What a model folder's `config.json` calls its kind of model.

    Raises:
        CheckpointError: the file is not JSON.
    """
    found = model_json(folder / "config.json").get("model_type")
    return found if isinstance(found, str) else None


def provenance(folder: Path) -> dict[str, Any]:
    """What the toolkit wrote beside the weights, without paths: base, window, training; empty for a foreign folder."""
    return without_paths(model_json(folder / "provenance.json"))
