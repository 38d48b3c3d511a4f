"""One process at a time in a folder: a lock that ends with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from speech_analogy.errors import DataError, SpeechAnalogyError

LOCK_NAME = ".lock"  # in the folder; empty, and left there


@contextmanager
def held(folder: Path, error: type[SpeechAnalogyError] = DataError) -> Iterator[None]:
    """Hold `folder/.lock` while the block lasts; the folder is made where it is missing.

    Raises:
        SpeechAnalogyError: of the type `error`: another process holds it, or it cannot be made or locked.
    """
    lock = FileLock(folder / LOCK_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise error(
            "another process is working in this folder", file=folder, do="wait for it to end, or name another"
        ) from None
    except (OSError, NotImplementedError) as problem:  # the latter: a file system without locks
        reason = getattr(problem, "strerror", None) or problem
        raise error(
            f"the folder cannot be made and locked: {reason}", file=folder, do="check its permissions"
        ) from None
    try:
        yield
    finally:
        lock.release()
