"""Progress as a log gets it (plain lines with the time left), as a terminal does, and out of worker processes."""

from __future__ import annotations

import io
import multiprocessing
import queue
import re
import sys
import threading
import time
from typing import Any

import pytest

from speech_analogy.foundation import progress


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


def wait_for(found: Any, seconds: float = 10.0) -> None:
    """Until `found()` is true."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ({"total": 120, "done": 40, "note": "loss 1.234"}, "train: 40 of 120 steps, loss 1.234, about 20 s left"),
        ({"total": None, "done": 40}, "train: 40 steps"),
        ({"total": 120, "done": 0}, "train: 0 of 120 steps"),
        ({"total": 120, "done": 60, "resumed": 50}, "train: 60 of 120 steps, about 1 min 00 s left"),
        ({"total": 120, "done": 60, "left_s": 4000.0}, "train: 60 of 120 steps, about 1 h 07 min left"),
        ({"total": 12e6, "done": 3e6, "unit": progress.BYTES}, "train: 3 of 12 MB, about 30 s left"),
        ({"total": 10, "done": 11}, "train: 11 of 10 steps, about 0 s left"),
    ],
)
def test_a_task_as_a_line(task: dict[str, Any], line: str) -> None:
    assert progress.Task((0, 0), "train", **{"unit": "steps", **task}, began=100.0).line(110.0) == line


def test_lines_come_at_the_interval_while_there_is_work_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    with progress.rendered_by(progress.Lines()):
        _watch(lines)


def _watch(lines: io.StringIO) -> None:
    with progress.bar(10, "decode", "clips") as bar:
        wait_for(lambda: "decode: 0 of 10 clips\n" in lines.getvalue())
        bar.update(5)
        bar.note(loss="0.50")
        wait_for(lambda: re.search(r"decode: 5 of 10 clips, loss 0\.50, about .* s left\n", lines.getvalue()))
        bar.reached(8, total=20, left_s=90)
        wait_for(lambda: "decode: 8 of 20 clips, loss 0.50, about 1 min 30 s left\n" in lines.getvalue())
        assert bar.done == 8
    time.sleep(0.05)
    before = lines.getvalue()
    time.sleep(0.1)
    assert lines.getvalue() == before
    assert not [thread for thread in threading.enumerate() if "_tick" in thread.name]
    with progress.bar(2, "again", "clips"):
        wait_for(lambda: "again: 0 of 2 clips\n" in lines.getvalue())


def test_short_or_quiet_work_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with progress.rendered_by(progress.Lines()):
        assert list(progress.track(range(3), "quick", "items")) == [0, 1, 2]
        assert list(progress.track(iter("ab"), "hidden", "items", total=2, show=False)) == ["a", "b"]
    assert log.getvalue() == ""


def test_a_terminal_gets_bars_that_go_when_the_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with progress.rendered_by(None):
        assert isinstance(progress.renderer(), progress.Bars)
        for round_ in range(2):  # the bars can be begun again
            with progress.bar(4, f"outer{round_}", "parts") as outer:
                outer.update()
                with progress.bar(2e6, "inner", progress.BYTES) as inner:
                    inner.update(1e6)
                    progress.say("a [line] of its own")
                    time.sleep(0.15)  # rich draws ten times a second
    text = screen.getvalue()
    for part in ("outer0", "outer1", "1 of 4 parts", "1 of 2 MB", "a [line] of its own\n", "━"):
        assert part in text
    assert text.rstrip("\r").endswith("\x1b[2K") or text.count("\x1b[?25l") == text.count("\x1b[?25h")


def work(messages: Any, fails: bool) -> None:
    """What a worker process does."""
    progress.send_to(messages)
    with progress.bar(3, "worker", "steps") as bar:
        bar.update(2)
        progress.say("said by the worker")
        if fails:
            messages.put(("show", progress.Task((1, 1), "orphan", "steps", 3)))
            return
        time.sleep(0.3)
        bar.update(1)


class Recorder:
    """A renderer that remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def show(self, task: progress.Task) -> None:
        self.calls.append(("show", task.what))

    def end(self, task: progress.Task) -> None:
        self.calls.append(("end", task.what))

    def say(self, text: str) -> None:
        self.calls.append(("say", text))


@pytest.mark.parametrize("fails", [False, True])
def test_a_workers_progress_is_shown_by_its_parent(fails: bool) -> None:
    context = multiprocessing.get_context("spawn")
    messages, recorder = context.Queue(), Recorder()
    with progress.rendered_by(recorder), progress.receive_from(messages):
        worker = context.Process(target=work, args=(messages, fails))
        worker.start()
        worker.join()
    assert worker.exitcode == 0
    assert recorder.calls[0] == ("show", "worker")
    assert ("say", "said by the worker") in recorder.calls
    assert ("end", "worker") in recorder.calls
    assert not fails or recorder.calls[-1] == ("end", "orphan")  # a worker that died takes its bars along


def test_a_sender_does_not_flood_its_parent() -> None:
    messages: queue.Queue[Any] = queue.Queue()
    with progress.rendered_by(progress.Sender(messages)):
        list(progress.track(range(10_000), "fast", "items"))
    assert messages.qsize() < 100
    assert [messages.get()[0] for _ in range(messages.qsize())][-1] == "end"
