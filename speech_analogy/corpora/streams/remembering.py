"""What was found in a part of the speech, kept in the cache folder until the part changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from speech_analogy.foundation.digests import digest
from speech_analogy.foundation.disk.cache_folder import cache_folder
from speech_analogy.foundation.files import whole_file

FOLDER = "speech"
VERSION = 1  # of what is kept
Arrays = dict[str, np.ndarray]


def place_of(*what: object) -> Path:
    """The file in which something is kept that depends on these values alone."""
    name = digest([VERSION, *what])
    return cache_folder() / FOLDER / name[:2] / f"{name}.npz"


def recall(file: Path) -> Arrays | None:
    """What is kept there; None where nothing is, or it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None


def remembered(file: Path, find: Callable[[], Arrays]) -> Arrays:
    """What is kept there, or else what is found now, which is kept."""
    known = recall(file)
    if known is None:
        known = find()
        with whole_file(file, one_of_many=True) as building, building.open("wb") as stream:
            np.savez(stream, **known)  # type: ignore[arg-type]
    return known
