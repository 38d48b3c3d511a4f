"""Files and folders that are written whole or not at all: built under another name beside the final one, then renamed.

Whatever wrote them, files have the mode that the user's umask gives. Contents are on the disk before a rename, and the
rename before whoever asked for it goes on: after a power loss there is the old or the new, and never a half.

A folder that is replaced goes with all that is in it: only one that carries our mark is, or an empty one.
What a killed process was building is called `.NAME.partial-XXXXXXXX`; the next one that writes NAME removes it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.foundation.disk import exchanging
from speech_analogy.foundation.disk.refusals import AT_LEAST_BYTES, os_errors, require_room
from speech_analogy.foundation.disk.syncing import make_folder, sync_file, sync_folder, sync_tree
from speech_analogy.foundation.locks import claimed

PARTIAL_SUFFIX = ".partial"
MARK, MARK_TEXT = ".speech-analogy", "Written by speech-analogy, which may replace this folder when it is told to.\n"
PRIVATE = 0o600  # the mode of files by `mkstemp`
REPLACED_SUFFIX = ".replaced"  # of an old folder, where two names cannot change places


def write_whole(path: Path, content: bytes | str, *, lasting: bool = True) -> None:
    """Write under a temporary name, then rename; folders are made as needed. Text is UTF-8.

    Args:
        lasting: it is there to stay when this returns. Without, a power loss may undo it, and still leaves no half.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        try:
            temporary.write_bytes(data)
        except FileNotFoundError:
            make_folder(path.parent) if lasting else path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        _put(temporary, path, lasting)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _put(temporary: Path, path: Path, lasting: bool = True) -> None:
    """Rename a file that is whole."""
    sync_file(temporary)
    temporary.replace(path)
    if lasting:
        sync_folder(path.parent)


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
        _put(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(
    out: str | Path,
    *,
    overwrite: bool = True,
    error: type[SpeechAnalogyError] = DataError,
    one_of_many: bool = False,
) -> Iterator[Path]:
    """A temporary file name that becomes `out` when the block ends, and is removed when it fails.

    Args:
        one_of_many: of a folder that is held as a whole, or of a cache, where whoever comes last may win: `out` is not
            claimed, and not looked through for what killed processes left, which costs as much as the folder is long.

    Raises:
        SpeechAnalogyError: of the type `error`: `out` exists and `overwrite` is off, it is a folder, another process
            is writing it, or the disk is full or cannot be written to.
    """
    out = Path(out)
    _require_file(out, overwrite, error)
    with nullcontext() if one_of_many else _alone_at(out, error):
        _require_file(out, overwrite, error)
        temporary = beside(out)
        try:
            with os_errors(out, error):
                out.parent.mkdir(parents=True, exist_ok=True)
                yield temporary
                follow_umask(temporary)
                _put(temporary, out, lasting=not one_of_many)
        finally:
            with suppress(OSError):
                temporary.unlink()


def _require_file(out: Path, overwrite: bool, error: type[SpeechAnalogyError]) -> None:
    require_free(out, overwrite, error)
    if out.is_dir():
        raise error("the output must be a file, not a folder", file=out, do="give a file name")


@contextmanager
def whole_folder(
    out: str | Path, *, overwrite: bool = False, error: type[SpeechAnalogyError] = DataError
) -> Iterator[Path]:
    """A new, empty folder that becomes `out` when the block ends, and is removed when it fails.

    With `overwrite` the old folder stands until the new one is whole, and then the new one does.

    Raises:
        SpeechAnalogyError: of the type `error`: `out` exists and `overwrite` is off or it is not ours, another
            process is writing it, or the disk is full or cannot be written to.
    """
    out = Path(out)
    require_replaceable(out, overwrite, error)
    with _alone_at(out, error):
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


@contextmanager
def reserved(
    out: Path, *, overwrite: bool, error: type[SpeechAnalogyError] = DataError, folder: bool = True
) -> Iterator[None]:
    """Before long work: `out` may be written, by nobody else meanwhile, and the disk has some room.

    Args:
        folder: `out` will be a folder of ours; else a file.

    Raises:
        SpeechAnalogyError: of the type `error`: as of `whole_folder` and `whole_file`, before any work.
    """
    require = require_replaceable if folder else _require_file
    require(out, overwrite, error)
    with _alone_at(out, error):
        require(out, overwrite, error)
        require_room(out.parent, AT_LEAST_BYTES, out, error)
        yield


@contextmanager
def _alone_at(out: Path, error: type[SpeechAnalogyError], wait: bool = False) -> Iterator[None]:
    """Nobody else writes `out` meanwhile; what killed processes left of it is gone."""
    with claimed(out, error, wait=wait) as first:
        if first:
            sweep(out)
        yield


def fill_once(out: Path, fill: Callable[[Path], None], error: type[SpeechAnalogyError] = DataError) -> Path:
    """Fill a folder whole unless it is there already, for caches: of several processes, one fills and the others wait.

    Args:
        fill: writes into the new, empty folder that it is given.

    Returns:
        `out`.

    Raises:
        SpeechAnalogyError: of the type `error`: the disk is full or cannot be written to.
    """
    if out.is_dir():
        return out
    with _alone_at(out, error, wait=True):
        if out.is_dir():
            return out
        temporary = beside(out)
        try:
            with os_errors(out, error):
                temporary.mkdir(parents=True)
                fill(temporary)
                follow_umask(temporary)
                if not out.is_dir():
                    sync_tree(temporary)
                    temporary.rename(out)
                    sync_folder(out.parent)
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
    """Rename a finished folder to `out`; what stood there is removed after it, or put back if that fails.

    Where two names can change places, `out` stands for one of the two at every moment. Elsewhere it is missing for an
    instant; the old one is then `.NAME.replaced`, and `sweep` gives its name back.
    """
    sync_tree(new)
    old: Path | None = None
    if not out.exists():
        new.rename(out)
    elif exchanging.exchange(new, out):
        old = new
    else:
        old = _replaced(out)
        out.rename(old)
        try:
            new.rename(out)
        except OSError:
            old.rename(out)
            raise
    sync_folder(out.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _replaced(out: Path) -> Path:
    return out.with_name(f".{out.name}{REPLACED_SUFFIX}")


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


def beside(out: Path) -> Path:
    """A name for building `out` under: hidden, in the same folder, used by nobody else."""
    return out.parent / f".{out.name}{PARTIAL_SUFFIX}-{secrets.token_hex(4)}"


def sweep(out: Path) -> None:
    """Remove what killed processes were building beside `out`; nobody else may be building it now.

    Args:
        out: if it was being replaced, and stands nowhere, the old one gets its name back.
    """
    _remove_all(entry for entry in _entries(out.parent) if entry.name.startswith(f".{out.name}{PARTIAL_SUFFIX}-"))
    old = _replaced(out)
    if old.is_dir() and not out.exists():
        old.rename(out)
    elif old.is_dir():
        shutil.rmtree(old, ignore_errors=True)


def sweep_all(folder: Path) -> None:
    """Remove whatever killed processes were building in a folder; nobody else may be building there now."""
    _remove_all(folder.glob(f".*{PARTIAL_SUFFIX}-*"))


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _remove_all(entries: Iterable[Path]) -> None:
    for left in entries:
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
