"""Runs a reader with little memory and little time, to see that it asks for no more."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.errors import SpeechAnalogyError

MOST_BYTES = 1_000_000_000
MOST_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """What came of one file: seconds of the processor, and the error's line, or `read`."""

    seconds: float
    said: str


@contextmanager
def little_memory() -> Iterator[None]:
    """While the block lasts, this process may take `MOST_BYTES` more than it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def read_in_bounds(read: Callable[[Path], object], path: Path) -> Outcome:
    """What a reader makes of a file: a value, or an error of ours on one line; anything else is raised.

    Raises:
        MemoryError, RuntimeError: it asked for more than `MOST_BYTES`.
    """
    with little_memory():
        began, said = time.process_time(), "read"
        try:
            read(path)
        except SpeechAnalogyError as error:
            said = str(error)
        seconds = time.process_time() - began
    assert "\n" not in said
    return Outcome(seconds, said)
