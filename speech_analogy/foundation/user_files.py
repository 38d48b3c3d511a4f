"""Small files that a user writes: text in UTF-8, and mappings in YAML or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from speech_analogy.errors import DataError


def read_mapping(path: Path) -> dict[str, Any]:
    """A mapping at the top of a .yaml or .json file; its keys are strings.

    Raises:
        DataError: it is missing, of another form, or holds something else.
    """
    content = read_text(path)
    try:
        match path.suffix.lower():
            case ".json":
                found = json.loads(content)
            case ".yaml" | ".yml":
                found = yaml.safe_load(content)
            case suffix:
                raise DataError("must be .json or .yaml", file=path, field="suffix", value=suffix)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"cannot be read: {str(error).splitlines()[0]}", file=path) from None
    if not isinstance(found, dict):
        raise DataError("must map names to values", file=path, value=type(found).__name__)
    return {str(name): value for name, value in found.items()}


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: it is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", file=path, value=f"byte {error.start}") from None
