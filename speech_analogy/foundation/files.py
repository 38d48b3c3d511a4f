"""Files and folders that are written whole or not at all: built under another name beside the final one, then renamed.

Whatever wrote them, files have the mode that the user's umask gives.

A folder that is replaced goes with all that is in it: only one that carries our mark is, or an empty one.
What a killed process was building is called `.NAME.partial-XXXXXXXX`; `sweep` removes what is left of it.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from speech_analogy.errors import DataError, SpeechAnalogyError

PARTIAL_SUFFIX = ".partial"
MARK, MARK_TEXT = ".speech-analogy", "Written by speech-analogy, which may replace this folder when it is told to.\n"
PRIVATE = 0o600  # the mode of files by `mkstemp`
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write under a temporary name, then rename; folders are made as needed. Text is UTF-8."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        try:
            temporary.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole: indented, as it reads in Unicode, with a final newline."""
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """A temporary file name that becomes `path` when the block ends, and is removed when it fails.

    For whoever holds the folder: the name is always the same, `NAME.partial` unless `temporary` says otherwise.

    Raises:
        OSError: it cannot be written.
    """
    temporary = temporary or path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        yield temporary
        follow_umask(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(
    out: str | Path, *, overwrite: bool = True, error: type[SpeechAnalogyError] = DataError
) -> Iterator[Path]:
    """A temporary file name that becomes `out` when the block ends, and is removed when it fails.

    Raises:
        SpeechAnalogyError: of the type `error`: `out` exists and `overwrite` is off, it is a folder, or the disk is
            full or cannot be written to.
    """
    out = Path(out)
    require_free(out, overwrite, error)
    if out.is_dir():
        raise error("the output must be a file, not a folder", file=out, do="give a file name")
    temporary = beside(out)
    try:
        with os_errors(out, error):
            out.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            follow_umask(temporary)
            temporary.replace(out)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def whole_folder(
    out: str | Path, *, overwrite: bool = False, error: type[SpeechAnalogyError] = DataError
) -> Iterator[Path]:
    """A new, empty folder that becomes `out` when the block ends, and is removed when it fails.

    With `overwrite` the old folder stands until the new one is whole.

    Raises:
        SpeechAnalogyError: of the type `error`: `out` exists and `overwrite` is off or it is not ours, or the disk is
            full or cannot be written to.
    """
    out = Path(out)
    require_replaceable(out, overwrite, error)
    temporary = beside(out)
    try:
        with os_errors(out, error):
            temporary.mkdir(parents=True)
            yield temporary
            (temporary / MARK).write_text(MARK_TEXT, encoding="utf-8")
            follow_umask(temporary)
            replace_folder(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fill_once(out: Path, fill: Callable[[Path], None], error: type[SpeechAnalogyError] = DataError) -> Path:
    """Fill a folder whole unless it is there already, for caches: of several processes, the first one's stays.

    Args:
        fill: writes into the new, empty folder that it is given.

    Returns:
        `out`.

    Raises:
        SpeechAnalogyError: of the type `error`: the disk is full or cannot be written to.
    """
    if out.is_dir():
        return out
    temporary = beside(out)
    try:
        with os_errors(out, error):
            temporary.mkdir(parents=True)
            fill(temporary)
            follow_umask(temporary)
            try:
                temporary.rename(out)
            except OSError:
                if not out.is_dir():
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def follow_umask(path: Path) -> None:
    """Give files that their writer made private (safetensors, `mkstemp`) the mode that a new file would have.

    Args:
        path: a file, or a folder with all that is in it.
    """
    private = [file for file in ([path] if path.is_file() else path.rglob("*")) if _is_private(file)]
    if not private:
        return
    probe = path.with_name(path.name + "-mode")  # to ask for the umask itself is to change it
    os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o666))
    usual = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    for file in private:
        with suppress(PermissionError):  # another user's, by a hard link
            file.chmod(usual)


def _is_private(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and stat.S_IMODE(mode) == PRIVATE


def replace_folder(new: Path, out: Path) -> None:
    """Rename a finished folder to `out`; what stood there is removed after it, or put back if that fails."""
    old = beside(out) if out.exists() else None
    if old is not None:
        out.rename(old)
    try:
        new.rename(out)
    except OSError:
        if old is not None:
            old.rename(out)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def link_tree(source: Path, target: Path, *ignored: str) -> None:
    """A second name for every file of a folder: hard links, or copies where links are not possible.

    Args:
        target: must not exist.
        ignored: names of files that are left out.
    """
    shutil.copytree(source, target, copy_function=link, ignore=shutil.ignore_patterns(*ignored))


def copy_tree(source: Path, target: Path) -> None:
    """A folder's files once more; where the file system can, they share their blocks until one is changed.

    Args:
        target: must not exist.
    """
    shutil.copytree(source, target, copy_function=_copy)


def _copy(source: str | Path, target: str | Path) -> None:
    with Path(source).open("rb") as old, Path(target).open("wb") as new:
        left = os.fstat(old.fileno()).st_size
        try:
            while left > 0:
                passed = os.copy_file_range(old.fileno(), new.fileno(), left)
                if not passed:
                    break
                left -= passed
        except (OSError, AttributeError):  # between two file systems, or not on this system
            shutil.copyfileobj(old, new)
    shutil.copystat(source, target)


def link(source: str | Path, target: str | Path) -> None:
    """A second name for a file: a hard link, or a copy where links are not possible."""
    try:
        os.link(os.path.realpath(source), target)  # of what a symbolic link points to: it may point from here alone
    except OSError:
        shutil.copy2(source, target)


def require_free(out: Path, overwrite: bool, error: type[SpeechAnalogyError] = DataError) -> None:
    """Refuse an output that exists, unless it may be overwritten."""
    if out.exists() and not overwrite:
        raise error("the output exists already", file=out, do="name another, or give --overwrite")


def require_replaceable(out: Path, overwrite: bool, error: type[SpeechAnalogyError] = DataError) -> None:
    """Refuse a folder that exists, unless it may be overwritten and holds nothing, or what was written here."""
    require_free(out, overwrite, error)
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise error("the output must be a folder of its own", file=out, do="name another")
    if not (out / MARK).is_file() and any(out.iterdir()):
        rule = "the folder was not written by speech-analogy, so it is not replaced"
        raise error(rule, file=out, do="remove it yourself, or name another")


def require_room(
    folder: Path, nbytes: int, out: Path | None = None, error: type[SpeechAnalogyError] = DataError
) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        SpeechAnalogyError: of the type `error`, with the bytes needed and the bytes free.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise error(
            f"the disk must hold the output of {nbytes} bytes",
            file=out or folder,
            value=free,
            do="make room on the disk",
        )


def beside(out: Path) -> Path:
    """A name for building `out` under: hidden, in the same folder, used by nobody else."""
    return out.parent / f".{out.name}{PARTIAL_SUFFIX}-{secrets.token_hex(4)}"


def sweep(out: Path) -> None:
    """Remove what killed processes were building beside `out`; nobody else may be building it now.

    Args:
        out: its name may be a pattern, such as `step-*`.
    """
    for left in out.parent.glob(f".{out.name}{PARTIAL_SUFFIX}-*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def os_errors(out: Path, error: type[SpeechAnalogyError] = DataError) -> Iterator[None]:
    """What the system refuses, a full disk for one, as one line that names the output, or another file if it was that.

    Raises:
        SpeechAnalogyError: of the type `error`.
    """
    try:
        yield
    except OSError as problem:
        reason, other = problem.strerror or str(problem), _other_file(problem, out)
        if other is not None:
            raise error(f"cannot be used: {reason}", file=other) from None
        raise error(
            f"the output must be writable: {reason}",
            file=out,
            do="make room on the disk" if problem.errno in FULL_DISK else "check the path and its permissions",
        ) from None


def _other_file(problem: OSError, out: Path) -> str | None:
    """The file that the system refused, if that is neither the output, nor beside, in or above it."""
    if not isinstance(problem.filename, str | bytes):
        return None
    file, folder = Path(os.fsdecode(problem.filename)).absolute(), out.absolute().parent
    return None if file.is_relative_to(folder) or folder.is_relative_to(file) else str(file)
