"""Two names that change places in one step, so that one of two folders stands under a name at every moment."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

RENAME_EXCHANGE = 2  # renameat2(2), Linux 3.15
RENAME_SWAP = 2  # renamex_np(2), macOS 10.12
AT_FDCWD = -100  # on Linux: paths are relative to the current folder
UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV, errno.EPERM}
"""File systems that cannot (NFS, FAT, parts of overlayfs), and systems that are too old."""


def exchange(one: Path, other: Path) -> bool:
    """Let two names of one folder change places, whatever they stand for.

    Returns:
        False where the system or the file system cannot; nothing has changed then.

    Raises:
        OSError: one is missing, or the disk is full, read-only or broken.
    """
    import ctypes

    names = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            status = library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
        elif sys.platform == "darwin":
            status = library.renamex_np(*names, RENAME_SWAP)
        else:
            return False
    except (AttributeError, OSError, TypeError):  # a C library without it, or none that can be asked
        return False
    number = ctypes.get_errno() if status else 0
    if number and number not in UNABLE:
        raise OSError(number, os.strerror(number), os.fspath(one), None, os.fspath(other))
    return number == 0
