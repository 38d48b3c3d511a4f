"""What a fine-tuning's process keeps: freed memory, because page faults cost time; few kernels, which cost memory."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

# Parameters of glibc's mallopt, malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
TRIM_NEVER = 2**31 - 1
TOP_PAD_BYTES = 64 << 20

KERNELS_KEPT = 16
_KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")  # oneDNN's own, and the one in front of it


def keep_freed_memory() -> bool:
    """Tell glibc to serve large blocks from one heap that it does not shrink; does nothing elsewhere.

    Batches of different lengths free and ask for tens of MB at every step. By default each such block is mapped and
    unmapped anew, and on a machine without transparent huge pages half of the time goes into the kernel.

    Returns:
        whether it was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    wanted = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: TRIM_NEVER, _M_TOP_PAD: TOP_PAD_BYTES}
    done = [mallopt(parameter, value) == 1 for parameter, value in wanted.items()]
    return all(done)


def give_back_freed_memory() -> None:
    """Return what glibc holds of freed memory to the system; does nothing elsewhere."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def bound_kernel_caches() -> None:
    """Let oneDNN keep `KERNELS_KEPT` compiled kernels with their buffers; it would keep 1,024 otherwise.

    Every length of window brings matrix products of its own shape and so kernels of its own, which hold 300 to 500 MB
    after a dozen steps of whisper-tiny. Making them anew takes no time that could be measured. oneDNN reads the
    environment when it is first used: in a process that computed before, nothing changes. What the user has set stays.
    """
    for name in _KERNEL_CACHES:
        os.environ.setdefault(name, str(KERNELS_KEPT))
