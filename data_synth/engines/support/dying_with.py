"""Programs that end with the process that started them, whatever ends it, and all that they have started.

On POSIX each has a watcher, a shell that waits for its input to end: no more is left of a process that was killed
than that its pipes end. Program and watcher are one process group, which the watcher then kills.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

SHELL = "/bin/sh"
WATCH = "read end; kill -s KILL 0"  # 0: its own group; `read` returns when the other end of the pipe is gone


@contextmanager
def running_program(arguments: Sequence[str], stdin: IO[bytes], stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A running program; when the block ends, it is killed if it has not ended, with all that it has started.

    Raises:
        OSError: it cannot be started.
    """
    watcher = _watcher()
    try:
        process = subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=watcher is None,
            process_group=None if watcher is None else watcher.pid,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill_group(process, watcher)
                process.wait()
    finally:
        if watcher is not None:
            watcher.kill()
            watcher.wait()
            assert watcher.stdin is not None
            watcher.stdin.close()


def _watcher() -> subprocess.Popen[bytes] | None:
    """None where there is no such shell: on Windows."""
    if os.name != "posix" or not os.access(SHELL, os.X_OK):
        return None
    null = subprocess.DEVNULL
    command = [SHELL, "-c", WATCH]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=null, stderr=null, process_group=0)


def _kill_group(process: subprocess.Popen[bytes], watcher: subprocess.Popen[bytes] | None) -> None:
    if os.name != "posix":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid if watcher is None else watcher.pid, signal.SIGKILL)
