"""Progress of long work: bars in a terminal, plain lines with the time left elsewhere, one renderer a program.

Worker processes call `send_to(queue)`: their bars are then drawn by the parent, which calls `receive_from(queue)`.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from speech_analogy.foundation.page.wording import duration
from speech_analogy.plain_text import masked, shown

T = TypeVar("T")

LINE_EVERY_S = 30.0  # where there is no terminal
SEND_EVERY_S = 0.2  # from a worker to its parent
READ_OUT_S = 2.0  # for what workers have sent last
BYTES = "B"  # the unit that is shown in MB
MEGABYTE = 1e6


@dataclass(frozen=True)
class Task:
    """What is known of one piece of work at one moment."""

    key: tuple[int, int]  # process, number
    what: str
    unit: str
    total: float | None
    done: float = 0
    note: str = ""
    left_s: float | None = None  # where the work itself has a better estimate than its pace
    began: float = field(default_factory=time.monotonic)
    resumed: float = 0  # done before this start

    def seconds_left(self, now: float) -> float | None:
        """By the pace so far; None where it cannot be estimated."""
        if self.left_s is not None:
            return self.left_s
        new = self.done - self.resumed
        if not self.total or new <= 0:
            return None
        return (now - self.began) / new * max(0.0, self.total - self.done)

    def line(self, now: float) -> str:
        """As a plain line: `finetune-mixed: 40 of 120 steps, loss 1.234, about 2 min 05 s left`."""
        scale, unit = (MEGABYTE, "MB") if self.unit == BYTES else (1, self.unit)
        amount = f"{self.done / scale:,.0f}" + (f" of {self.total / scale:,.0f}" if self.total else "")
        left = self.seconds_left(now)
        parts = [f"{amount} {unit}", self.note, "" if left is None else f"about {duration(left)} left"]
        return shown(f"{self.what}: {', '.join(filter(None, parts))}")


class Renderer(Protocol):
    """Where tasks are shown."""

    def show(self, task: Task) -> None: ...

    def end(self, task: Task) -> None: ...

    def say(self, text: str) -> None: ...


class Lines:
    """One line per task every `LINE_EVERY_S` seconds, for logs."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[int, int], Task] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def show(self, task: Task) -> None:
        with self._lock:
            self._tasks[task.key] = task
            if self._thread is None:
                self._wake = threading.Event()
                self._thread = threading.Thread(target=self._tick, args=(self._wake,), daemon=True)
                self._thread.start()

    def end(self, task: Task) -> None:
        with self._lock:
            self._tasks.pop(task.key, None)
            if not self._tasks and self._thread is not None:
                self._wake.set()
                self._thread = None

    def say(self, text: str) -> None:
        print(shown(masked(text)), file=sys.stderr, flush=True)

    def _tick(self, wake: threading.Event) -> None:
        while not wake.wait(LINE_EVERY_S):
            now = time.monotonic()
            with self._lock:
                lines = [task.line(now) for task in self._tasks.values()]
            for line in lines:
                self.say(line)


class Bars:
    """Rich's bars, one per task, removed when it ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._ids: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()

    def show(self, task: Task) -> None:
        state = task.line(time.monotonic()).removeprefix(shown(f"{task.what}: "))
        with self._lock:
            if not self._ids:
                self._progress.start()
            if task.key not in self._ids:
                self._ids[task.key] = self._progress.add_task(shown(task.what), total=task.total, state=state)
            self._progress.update(self._ids[task.key], total=task.total, completed=task.done, state=state)

    def end(self, task: Task) -> None:
        with self._lock:
            if task.key in self._ids:
                self._progress.remove_task(self._ids.pop(task.key))
            if not self._ids:
                self._progress.stop()

    def say(self, text: str) -> None:
        self._console.print(shown(masked(text)), markup=False, highlight=False, soft_wrap=True)


class Sender:
    """Puts tasks into a queue that the parent process reads."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._sent: dict[tuple[int, int], float] = {}

    def show(self, task: Task) -> None:
        now = time.monotonic()
        if now - self._sent.get(task.key, 0.0) >= SEND_EVERY_S:
            self._sent[task.key] = now
            self._queue.put(("show", task))

    def end(self, task: Task) -> None:
        self._sent.pop(task.key, None)
        self._queue.put(("end", task))

    def say(self, text: str) -> None:
        self._queue.put(("say", text))


_renderer: Renderer | None = None
_numbers = itertools.count()


def renderer() -> Renderer:
    """This process's renderer: bars where stderr is a terminal, lines elsewhere."""
    global _renderer
    if _renderer is None:
        _renderer = Bars() if sys.stderr.isatty() else Lines()
    return _renderer


@contextmanager
def rendered_by(other: Renderer | None) -> Iterator[None]:
    """Show this process's tasks by another renderer while the block lasts; None: the one that fits stderr then."""
    global _renderer
    before, _renderer = _renderer, other
    try:
        yield
    finally:
        _renderer = before


def send_to(queue: Any) -> None:
    """Show this process's tasks in the process that reads the queue."""
    global _renderer
    _renderer = Sender(queue)


@contextmanager
def receive_from(queue: Any) -> Iterator[None]:
    """Show the tasks of worker processes while the block lasts; the bars of a worker that died end with it."""
    shown: dict[tuple[int, int], Task] = {}

    def read() -> None:
        while (message := queue.get()) is not None:
            kind, content = message
            if kind == "say":
                renderer().say(content)
            elif kind == "end":
                shown.pop(content.key, None)
                renderer().end(content)
            else:
                shown[content.key] = content
                renderer().show(content)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield
    finally:
        queue.put(None)
        queue.cancel_join_thread()  # a worker that was ended while it wrote holds the queue's lock for ever
        thread.join(READ_OUT_S)
        for task in shown.values():
            renderer().end(task)


def say(text: str) -> None:
    """A line on stderr that no bar runs through."""
    renderer().say(text)


class Bar:
    """One piece of work under way; a context manager. Threads may share it."""

    def __init__(self, task: Task, show: bool) -> None:
        self._task, self._show = task, show
        self._lock = threading.Lock()

    def __enter__(self) -> Bar:
        self._changed()
        return self

    def __exit__(self, *_: object) -> None:
        if self._show:
            renderer().end(self._task)

    @property
    def done(self) -> float:
        return self._task.done

    def update(self, amount: float = 1) -> None:
        """Count `amount` more as done."""
        with self._lock:
            self._task = replace(self._task, done=self._task.done + amount)
        self._changed()

    def skip(self, amount: float = 1) -> None:
        """So much more was done before this start: it counts, but not towards the pace."""
        with self._lock:
            done, resumed = self._task.done + amount, self._task.resumed + amount
            self._task = replace(self._task, done=done, resumed=resumed)
        self._changed()

    def reached(self, done: float, total: float | None = None, left_s: float | None = None) -> None:
        """Set what is done in all, and the total and the seconds left where these have changed."""
        with self._lock:
            self._task = replace(
                self._task,
                done=done,
                total=self._task.total if total is None else total,
                left_s=self._task.left_s if left_s is None else left_s,
            )
        self._changed()

    def note(self, **values: object) -> None:
        """Numbers beside the bar: `note(loss="1.23")`."""
        text = ", ".join(f"{name} {value}" for name, value in values.items())
        with self._lock:
            self._task = replace(self._task, note=text)
        self._changed()

    def _changed(self) -> None:
        if self._show:
            renderer().show(self._task)


def bar(total: float | None, what: str, unit: str, *, show: bool = True, done: float = 0) -> Bar:
    """Work under way.

    Args:
        total: how much there is; None where it is unknown.
        what: is done, e.g. "transcribe".
        unit: in the plural, e.g. "utterances"; `BYTES` is shown in MB.
        done: before this start.
    """
    return Bar(Task((os.getpid(), next(_numbers)), what, unit, total, done, resumed=done), show)


def track(items: Iterable[T], what: str, unit: str, *, total: int | None = None, show: bool = True) -> Iterator[T]:
    """The items, with a bar that grows as they are taken."""
    count = len(items) if total is None and isinstance(items, Sized) else total
    with bar(count, what, unit, show=show) as shown:
        for item in items:
            yield item
            shown.update()
