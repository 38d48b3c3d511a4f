"""What a model folder says of itself: its type and its provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from speech_analogy.errors import CheckpointError


def model_type_of(folder: Path) -> str | None:
    """What a model folder's `config.json` calls its kind of model.

    Raises:
        CheckpointError: the file is not JSON.
    """
    config = folder / "config.json"
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"is not JSON: {error}", file=config) from None
    return content.get("model_type") if isinstance(content, dict) else None


def provenance(folder: Path) -> dict[str, Any]:
    """What the toolkit wrote beside the weights: base, window, training; empty for a foreign folder."""
    path = folder / "provenance.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"is not JSON: {error}", file=path) from None
    return content if isinstance(content, dict) else {}
