"""A Hugging Face folder: a copy of the model's own, without links into the place that it came from."""

from __future__ import annotations

import shutil
from pathlib import Path

from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.merging.io.model_folder import copy_record, finish, name_places


def write(model: Path, out: Path) -> None:
    """Copy the folder's files, and add what is missing; subfolders (checkpoints of a training) are left out."""
    for file in sorted(model.iterdir()):
        hidden = file.name.startswith(".")  # locks and marks are not the model's
        if file.is_file() and not hidden and file.name != PROVENANCE_FILE:
            shutil.copyfile(file, out / file.name)
    name_places(out)
    copy_record(model, out)
    finish(out)


EXPORTER = Exporter(write)
