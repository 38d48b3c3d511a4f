"""One process at a time in a folder, or at an output: locks that end with the process that holds them."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.foundation.disk.syncing import make_folder

LOCK_NAME = ".lock"  # in the folder; empty, and left there
WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}  # of file systems
WAIT_S = 0.2  # between two looks at a lock that is waited for

_holders: dict[str, int] = {}
"""Lock file -> the thread of this process that holds it."""


@contextmanager
def held(folder: Path, error: type[SpeechAnalogyError] = DataError, *, again: bool = False) -> Iterator[None]:
    """Hold `folder/.lock` while the block lasts; the folder is made where it is missing.

    Args:
        again: do nothing where this thread holds it already.

    Raises:
        SpeechAnalogyError: of the type `error`: another process holds it, or it cannot be made or locked.
    """
    file = folder / LOCK_NAME
    if again and _is_ours(file):
        yield
        return
    from filelock import FileLock, Timeout  # heavy: worker processes lock nothing

    lock = FileLock(file)
    try:
        make_folder(folder)
        lock.acquire(timeout=0)
    except Timeout:
        raise error(
            "another process is working in this folder", file=folder, do="wait for it to end, or name another"
        ) from None
    except (OSError, NotImplementedError) as problem:  # the latter: a file system without locks
        raise error(
            f"the folder cannot be made and locked: {_reason(problem)}", file=folder, do="check its permissions"
        ) from None
    with _noted(file):
        try:
            yield
        finally:
            lock.release()


@contextmanager
def claimed(out: Path, error: type[SpeechAnalogyError] = DataError, *, wait: bool = False) -> Iterator[bool]:
    """Hold the name of an output, file or folder, while the block lasts, by a lock beside it, which then goes.

    The folder that it is to lie in is made where it is missing, so whoever claims knows that they may write there.

    Args:
        out: need not exist.
        wait: until another process lets go of it.

    Yields:
        Whether nobody else can be writing it: False where this thread has claimed it already, and on a file system
        without locks, where nothing is known.

    Raises:
        SpeechAnalogyError: of the type `error`: another process is writing it, or nobody may.
    """
    named = out if out.name not in ("", "..") else out.resolve()
    file = named.parent / f".{named.name}{LOCK_NAME}"
    if _is_ours(file):
        yield False
        return
    from filelock import FileLock, Timeout  # heavy: worker processes lock nothing

    lock = FileLock(file)
    try:
        make_folder(file.parent)
        lock.acquire(timeout=-1 if wait else 0, poll_interval=WAIT_S)
        while not file.exists():  # who held it before removed it while we opened it
            lock.release()
            lock.acquire(timeout=-1 if wait else 0, poll_interval=WAIT_S)
    except Timeout:
        raise error(
            "another process is writing this output", file=out, do="wait for it to end, or name another"
        ) from None
    except (OSError, NotImplementedError) as problem:
        if getattr(problem, "errno", errno.ENOSYS) in WITHOUT_LOCKS:
            yield False
            return
        raise error(
            f"the output must be writable: {_reason(problem)}", file=out, do="check the path and its permissions"
        ) from None
    with _noted(file):
        try:
            yield True
        finally:
            with suppress(OSError):
                file.unlink()
            lock.release()


def _is_ours(lock: Path) -> bool:
    return _holders.get(_real(lock)) == threading.get_ident()


@contextmanager
def _noted(lock: Path) -> Iterator[None]:
    name = _real(lock)
    _holders[name] = threading.get_ident()
    try:
        yield
    finally:
        _holders.pop(name, None)


def _real(lock: Path) -> str:
    return str(lock.parent.resolve() / lock.name)


def _reason(problem: BaseException) -> object:
    return getattr(problem, "strerror", None) or problem
