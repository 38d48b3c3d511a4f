"""A Hugging Face folder: a copy of the model's own, without links into the place that it came from."""

from __future__ import annotations

import shutil
from pathlib import Path

from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.model_folder import finish


def write(model: Path, out: Path) -> None:
    """Copy the folder's files, and add what is missing; subfolders (checkpoints of a training) are left out."""
    for file in sorted(model.iterdir()):
        if file.is_file() and not file.name.startswith("."):  # locks and marks are not the model's
            shutil.copyfile(file, out / file.name)
    finish(out)


EXPORTER = Exporter(write)
