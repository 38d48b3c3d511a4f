"""Keep freed memory in the process: handing it back after every step costs page faults at the next."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt, malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
TRIM_NEVER = 2**31 - 1
TOP_PAD_BYTES = 64 << 20


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
