"""Files and folders forced onto the disk, so that a rename counts only when what was renamed is there to stay.

A file system may write a rename down before the contents: after a power loss the new name then stands for an empty
file. So contents are synced before the rename, and the folder after it (fsync(2), rename(2)).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

AT_ONCE = 4  # a file system writes several files down together
CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
"""File systems, and Windows for folders, that have no such thing."""


def sync_file(path: Path) -> None:
    """Force a file's contents onto the disk.

    Raises:
        OSError: they cannot be written: the disk is full, or broken.
    """
    _sync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Force a folder's list of names onto the disk; nothing is to be done on Windows.

    Raises:
        OSError: it cannot be written.
    """
    if os.name == "nt":
        return
    with suppress(PermissionError):  # a folder that may be written to and not read
        _sync(path, os.O_RDONLY)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, there to stay.

    Raises:
        OSError: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Force a folder onto the disk, with all that is in it.

    Raises:
        OSError: something cannot be written.
    """
    files = [Path(at, name) for at, _, names in os.walk(folder) for name in names]
    _each(path for path in files if path.is_file() and not path.is_symlink())
    sync_folders(folder)


def sync_folders(folder: Path) -> None:
    """Force the lists of names onto the disk, of a folder and of those in it; their files are there already.

    Raises:
        OSError: one cannot be written.
    """
    for at, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(at))


def _each(files: Iterable[Path]) -> None:
    listed = list(files)
    if len(listed) <= AT_ONCE:
        for path in listed:
            sync_file(path)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(sync_file, listed))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        os.close(descriptor)
