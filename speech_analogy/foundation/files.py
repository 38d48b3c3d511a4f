"""Files and folders that are written whole or not at all."""

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

PARTIAL_SUFFIX = ".partial"


def write_whole(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename; folders are made as needed."""
    temporary = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        temporary.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
    temporary.replace(path)


@contextmanager
def new_file(out: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary file name that becomes `out` when the block ends, and is removed when it fails.

    Raises:
        CheckpointError: `out` exists and `overwrite` is off, or the disk is full.
    """
    out = Path(out)
    require_free(out, overwrite)
    if out.is_dir():
        raise CheckpointError("the output must be a file, not a folder", file=out, do="give a file name")
    temporary = beside(out)
    try:
        with os_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def require_free(out: Path, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise CheckpointError("the output exists already", file=out, do="give another name or say --overwrite")


def beside(out: Path) -> Path:
    return out.parent / f".{out.name}.partial-{secrets.token_hex(4)}"


@contextmanager
def os_errors(out: Path) -> Iterator[None]:
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


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, with a final newline."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
