"""Where the time of a training step goes."""

from __future__ import annotations

import time

DIGITS = 5  # of seconds in the log


class Clock:
    """Seconds since `start`, by what they were spent on."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forget the laps."""
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to `name`."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now

    @property
    def total(self) -> float:
        return sum(self.laps.values())

    def rounded(self) -> dict[str, float]:
        return {name: round(seconds, DIGITS) for name, seconds in self.laps.items()}
