"""Outputs that exist whole or not at all: built under a temporary name beside the final one, then renamed."""

from __future__ import annotations

import errno
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.checkpoints import PROVENANCE_FILE, WEIGHT_FILES

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
    _require_free(out, overwrite)
    if out.exists() and not (out.is_dir() and any((out / name).exists() for name in (*WEIGHT_FILES, PROVENANCE_FILE))):
        raise CheckpointError("only a model folder is overwritten", file=out, do="give another output folder")
    temporary = _beside(out)
    try:
        with _os_errors(out):
            temporary.mkdir(parents=True)
            yield temporary
            if out.exists():
                old = _beside(out)
                out.rename(old)
                temporary.rename(out)
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(out: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary file name that becomes `out` when the block ends, and is removed when it fails.

    Raises:
        CheckpointError: `out` exists and `overwrite` is off, or the disk is full.
    """
    out = Path(out)
    _require_free(out, overwrite)
    if out.is_dir():
        raise CheckpointError("the output must be a file, not a folder", file=out, do="give a file name")
    temporary = _beside(out)
    try:
        with _os_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _require_free(out: Path, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise CheckpointError("the output exists already", file=out, do="give another name or say --overwrite")


def _beside(out: Path) -> Path:
    return out.parent / f".{out.name}.partial-{secrets.token_hex(4)}"


@contextmanager
def _os_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise CheckpointError(
            f"the output must be writable: {error.strerror or error}",
            file=out,
            do="make room on the disk" if full else "check the path and its permissions",
        ) from None


def require_room(folder: Path, nbytes: int, out: Path | None = None) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        CheckpointError: with the bytes needed and the bytes free.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise CheckpointError(
            f"the disk must hold the output of {nbytes} bytes",
            file=out or folder,
            value=free,
            do="make room on the disk",
        )


def copy_companions(source: Path, target: Path) -> None:
    """Copy the non-weight files of a model folder (`COMPANIONS` without `LEFT_BEHIND`)."""
    for file in sorted(source.iterdir()):
        wanted = any(file.match(pattern) for pattern in COMPANIONS)
        if wanted and file.is_file() and not any(file.match(pattern) for pattern in LEFT_BEHIND):
            shutil.copyfile(file, target / file.name)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, with a final newline."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
