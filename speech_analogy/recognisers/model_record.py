"""What a model folder says of itself: its type and its provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.user_files.json_text import read_json


def model_type_of(folder: Path) -> str | None:
    """What a model folder's `config.json` calls its kind of model.

    Raises:
        CheckpointError: the file is not JSON.
    """
    config = folder / "config.json"
    content = read_json(config, CheckpointError)
    found = content.get("model_type") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def provenance(folder: Path) -> dict[str, Any]:
    """What the toolkit wrote beside the weights: base, window, training; empty for a foreign folder."""
    path = folder / "provenance.json"
    if not path.exists():
        return {}
    content = read_json(path, CheckpointError)
    return content if isinstance(content, dict) else {}
