"""The memory of a process and of those that it started, watched from outside."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

INTERVAL_S = 0.05
PSS_INTERVAL_S = 0.5  # it takes the kernel a while


class Watch:
    """Peaks of anonymous resident memory and of the proportional set size (PSS), summed over the process's tree.

    Attributes:
        anonymous_bytes: without files that are mapped.
        pss_bytes: with them, pages that processes share counted once.
    """

    def __init__(self, process: int) -> None:
        self.anonymous_bytes = self.pss_bytes = 0
        self._process, self._done = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        next_pss = 0.0
        while not self._done.wait(INTERVAL_S):
            tree = _tree(self._process)
            self.anonymous_bytes = max(self.anonymous_bytes, sum(_field(p, "status", "RssAnon:") for p in tree))
            if time.monotonic() >= next_pss:
                self.pss_bytes = max(self.pss_bytes, sum(_field(p, "smaps_rollup", "Pss:") for p in tree))
                next_pss = time.monotonic() + PSS_INTERVAL_S

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def _tree(process: int) -> list[int]:
    """The process and its descendants."""
    found = [process]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _field(process: int, file: str, name: str) -> int:
    """Bytes; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
