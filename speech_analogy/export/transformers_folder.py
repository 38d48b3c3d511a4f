"""A Hugging Face folder: a copy of the model's own, without links into the place that it came from."""

from __future__ import annotations

import shutil
from pathlib import Path

from speech_analogy.export.exporter import Exporter


def write(model: Path, out: Path) -> None:
    """Copy the folder's files; subfolders (checkpoints of a training) are left out."""
    for file in sorted(model.iterdir()):
        if file.is_file():
            shutil.copyfile(file, out / file.name)


EXPORTER = Exporter(write)
