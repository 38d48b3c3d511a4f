"""Outputs that exist whole or not at all: built under a temporary name beside the final one, then renamed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import require_free, whole_folder
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE, WEIGHT_FILES

COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "LICENSE*", "NOTICE*")
"""Files of a model folder that go along with the weights: config, generation config, tokenizer,
preprocessor."""

LEFT_BEHIND = ("*.index.json", PROVENANCE_FILE, "trainer_state.json", "all_results.json", "*_results.json")
"""Files that match `COMPANIONS` and yet belong to the old weights or to their training."""


@contextmanager
def new_folder(out: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `out` when the block ends, and is removed when it fails.

    Raises:
        CheckpointError: `out` exists (with `overwrite`: and is not a model folder), or the disk is full.
    """
    out = Path(out)
    require_free(out, overwrite, CheckpointError)
    if out.exists() and not (out.is_dir() and any((out / name).exists() for name in (*WEIGHT_FILES, PROVENANCE_FILE))):
        raise CheckpointError("only a model folder is overwritten", file=out, do="give another output folder")
    with whole_folder(out, overwrite=overwrite, error=CheckpointError) as temporary:
        yield temporary


def copy_companions(source: Path, target: Path) -> None:
    """Copy the non-weight files of a model folder (`COMPANIONS` without `LEFT_BEHIND`)."""
    for file in sorted(source.iterdir()):
        wanted = any(file.match(pattern) for pattern in COMPANIONS)
        if wanted and file.is_file() and not any(file.match(pattern) for pattern in LEFT_BEHIND):
            shutil.copyfile(file, target / file.name)
