"""Files that a list in a folder names: neither their names nor links lead out of it."""

from __future__ import annotations

import re
from pathlib import Path

from speech_analogy.errors import DataError, SpeechAnalogyError


def inside(
    folder: Path, name: str, *, named_by: Path | None = None, error: type[SpeechAnalogyError] = DataError
) -> Path:
    """A file of a folder by its name.

    Args:
        named_by: the list that names it, for the error; None: the folder.

    Raises:
        SpeechAnalogyError: of the type `error`: it leads out.
    """
    try:
        if is_plain_name(name) and (folder / name).resolve().is_relative_to(folder.resolve()):
            return folder / name
    except (OSError, ValueError, RuntimeError):  # a name that the system does not take, links in a circle
        pass
    raise error("names a file outside its folder", file=named_by or folder, value=name, do="do not use this folder")


def is_plain_name(name: str) -> bool:
    """Whether a name leads down from a folder, if at all: relative, and without `..`."""
    return bool(name) and "\0" not in name and not name.startswith("/") and ".." not in re.split(r"[/\\]", name)
