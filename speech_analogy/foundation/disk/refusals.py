"""What the system refuses, a full disk or a missing right, as one line that says what to do."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speech_analogy.errors import DataError, SpeechAnalogyError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REMEDIES = {
    **dict.fromkeys(FULL_DISK, "make room on the disk, or name another"),
    errno.EROFS: "the disk is mounted read-only: name another",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EIO: "the disk may be broken: look into the system's log",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOMEM: "there is not enough memory",
}
"""What can be done, by the number of the error; others have the system's words alone."""
CHECK_PATH = "check the path and its permissions"
NUMBER_IN_WORDS = re.compile(r"\(os error (\d+)\)|Os \{ code: (\d+)")  # as Rust's libraries (safetensors) say it
NO_MEMORY = re.compile(r"can't allocate memory|[Oo]ut of memory|bad_alloc")  # as torch and its like say it
LESS_MEMORY = "ask for less at once (batches, beams, workers), or take a smaller model"
AT_LEAST_BYTES = 1 << 20  # of room, before an output is begun whose size is not known


def system_error(error: BaseException) -> OSError | None:
    """What the system refused, where that is what an exception says: as itself, or within another library's words."""
    if isinstance(error, OSError):
        return error
    found = NUMBER_IN_WORDS.search(str(error))
    if found is None:
        return None
    number = int(found[1] or found[2])
    return OSError(number, os.strerror(number))


def in_one_line(error: BaseException) -> str | None:
    """What the system refused, of which file, and what to do; None for what is no refusal but a mistake of ours.

    A reader that went away (a broken pipe), and whatever comes from a network, is not the disk's.
    """
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return str(SpeechAnalogyError("there is not enough memory", do=LESS_MEMORY))
    found = system_error(error)
    if found is None or isinstance(found, ConnectionError | TimeoutError):
        return None
    file = found.filename2 or found.filename
    remedy = REMEDIES.get(found.errno or 0)
    if remedy is None and not isinstance(file, str | bytes | os.PathLike):
        return None
    named = os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else None
    return str(SpeechAnalogyError(f"cannot be used: {_said(found)}", file=named, do=remedy or "check the path"))


@contextmanager
def os_errors(out: Path, error: type[SpeechAnalogyError] = DataError) -> Iterator[None]:
    """What the system refuses, a full disk for one, as one line that names the output, or another file if it was that.

    Raises:
        SpeechAnalogyError: of the type `error`.
    """
    try:
        yield
    except SpeechAnalogyError:
        raise
    except Exception as raised:
        problem = system_error(raised)
        if problem is None:
            raise
        other = _other_file(problem, out)
        if other is not None:
            raise error(f"cannot be used: {_said(problem)}", file=other, do=REMEDIES.get(problem.errno or 0)) from None
        raise error(
            f"the output must be writable: {_said(problem)}",
            file=out,
            do=REMEDIES.get(problem.errno or 0, CHECK_PATH),
        ) from None


def require_room(
    folder: Path, nbytes: int, out: Path | None = None, error: type[SpeechAnalogyError] = DataError
) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: on that disk; it need not exist yet.

    Raises:
        SpeechAnalogyError: of the type `error`, with the bytes needed and the bytes free.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if free < nbytes:
        raise error(
            f"the disk must hold the output of {nbytes} bytes",
            file=out or folder,
            value=free,
            do="make room on the disk",
        )


def _said(problem: OSError) -> str:
    return problem.strerror or str(problem)


def _other_file(problem: OSError, out: Path) -> str | None:
    """The file that the system refused, if that is neither the output, nor beside, in or above it."""
    if not isinstance(problem.filename, str | bytes):
        return None
    file, folder = Path(os.fsdecode(problem.filename)).absolute(), out.absolute().parent
    return None if file.is_relative_to(folder) or folder.is_relative_to(file) else str(file)
