"""Small files that a user writes: mappings in YAML or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.json_text import parse_json
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.foundation.user_files.yaml_text import MOST_YAML_BYTES, parse_yaml


def read_mapping(path: Path) -> dict[str, Any]:
    """A mapping at the top of a .yaml or .json file; its keys are strings.

    Raises:
        DataError: it is missing, of another form, or holds something else.
    """
    suffix = path.suffix.lower()
    if suffix not in (".json", ".yaml", ".yml"):
        raise DataError("must be .json or .yaml", file=path, field="suffix", value=suffix)
    try:
        content = read_text(path) if suffix == ".json" else read_text(path, most_bytes=MOST_YAML_BYTES)
        found = parse_json(content) if suffix == ".json" else parse_yaml(content)
    except ValueError as error:
        raise DataError(f"cannot be read: {error}", file=path) from None
    if not isinstance(found, dict):
        raise DataError("must map names to values", file=path, value=type(found).__name__)
    return {str(name): value for name, value in found.items()}
