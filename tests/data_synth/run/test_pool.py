"""Engines that crash, hang and talk: each costs its clip, told in the ledger, and never the run or another clip."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from data_synth import synthesize as synthesize_module
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.options import SynthesisOptions
from data_synth.run import pool
from data_synth.run.pool import PoolOptions
from data_synth.store.ledger import Ledger
from data_synth.synthesize import SynthesisReport, synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.machine import VISIBLE_GPUS
from tests.data_synth.contents import files

pytestmark = pytest.mark.usefixtures("plugin")

WORDS = ("turn it on", "play some jazz", "drink the poison", "stop", "go home", "call me", "once more")
TEXTS = [Text.of(words, "a") for words in WORDS]


def run(out: Path, engines: str, texts: list[Text] = TEXTS, **options: object) -> SynthesisReport:
    return synthesize(texts, out, SynthesisOptions.parse({"engines": engines, **options}), progress=False)


def rejected(report: SynthesisReport) -> list[LedgerRow]:
    return [row for row in Ledger(report.ledger.parent).rows.values() if not row.kept]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_crash_costs_its_clip_alone(tmp_path: Path, workers: int) -> None:
    report = run(tmp_path / "out", "fake:crashes", workers=workers, attempts=2)
    assert [(row.text, row.attempt, row.reason) for row in rejected(report)] == [
        ("drink the poison", attempt, "engine: its process was ended by SIGSEGV") for attempt in range(2)
    ]
    assert (report.clips, report.kept) == (7, 6)
    assert report.made == 8
    again = run(tmp_path / "out", "fake:crashes", workers=workers, attempts=2)
    assert again.made == 0  # it is not tried for ever


def test_processes_are_spread_over_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that take the place of lost ones too."""
    seen: list[str | None] = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **told: Any) -> None:
            seen.append(told["env"].get(VISIBLE_GPUS))
            super().__init__(command, **told)

    monkeypatch.setattr(pool.subprocess, "Popen", Popen)
    monkeypatch.setattr(synthesize_module, "gpus_of", lambda engines: ("4", "7"))
    run(tmp_path / "out", "fake:crashes", workers=2, attempts=1)
    assert sorted(seen[:2]) == ["4", "7"]
    assert len(seen) > 2
    assert set(seen) == {"4", "7"}
    seen.clear()
    monkeypatch.setattr(synthesize_module, "gpus_of", lambda engines: ())
    monkeypatch.setenv(VISIBLE_GPUS, "5")
    run(tmp_path / "all", "fake:crashes", workers=2, attempts=1)
    assert set(seen) == {"5"}  # as it was


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hang_is_ended(tmp_path: Path, workers: int) -> None:
    begin = time.monotonic()
    report = run(tmp_path / "out", "fake:hangs", workers=workers, attempts=1, timeout_s=1.0)
    [row] = rejected(report)
    assert (row.text, row.reason) == ("drink the poison", "engine: no answer within 1 s; its process was ended")
    assert report.kept == 6
    assert time.monotonic() - begin < 60


def test_a_clip_that_crashes_with_some_seeds_is_made_with_another(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake:dies_at_odd_seeds", attempts=8)
    assert report.kept == report.clips == 7
    lost = rejected(report)
    assert lost
    assert all(row.seed % 2 and row.reason == "engine: its process ended with status 3" for row in lost)
    for row in lost:  # every attempt before a kept one has its row
        rows = [other for other in Ledger(tmp_path / "out").rows.values() if other.text_id == row.text_id]
        assert sorted(other.attempt for other in rows) == list(range(len(rows)))


def test_what_isolation_and_workers_change_is_nothing(tmp_path: Path) -> None:
    made = [
        files(run(tmp_path / str(number), "fake:low+flaky+raises", voices_per_text=3, **options).cuts.parent)
        for number, options in enumerate(({"isolated": False}, {"isolated": True}, {"workers": 3}))
    ]
    assert made[0] == made[1] == made[2]


def test_an_engine_that_ends_every_process_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match=r"fake: 12 processes .* lost one after the other: .* status 3; fix it"):
        run(tmp_path / "out", "fake:dies")


def test_what_an_engine_prints_disturbs_no_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", "fake:talks").kept == 7
    out, err = capfd.readouterr()
    assert out == ""
    assert "speaking" in err


def test_a_process_killed_from_outside_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does where memory runs out."""
    started: list[int] = []

    class Victim(pool.WorkerPool):
        def start(self) -> pool.WorkerProcess:
            process = super().start()
            if not started:
                os.kill(process.popen.pid, signal.SIGKILL)
            started.append(process.popen.pid)
            return process

    monkeypatch.setattr(pool, "WorkerPool", Victim)
    report = run(tmp_path / "out", "fake:low")
    assert len(started) == 2
    assert report.kept == report.made == 7


def test_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[pool.WorkerProcess] = []

    class Watched(pool.WorkerPool):
        def start(self) -> pool.WorkerProcess:
            processes.append(super().start())
            return processes[-1]

    monkeypatch.setattr(pool, "WorkerPool", Watched)
    run(tmp_path / "out", "fake:low", workers=2)
    with pytest.raises(SynthesisError):
        run(tmp_path / "broken", "fake:dies", workers=2)
    assert len(processes) > 2
    assert all(process.popen.returncode is not None for process in processes)


def test_an_engine_s_patience_is_its_own_unless_options_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PoolOptions().patience_s("fake") == pool.PATIENCE_S
    assert PoolOptions(timeout_s=5).patience_s("fake") == 5
    monkeypatch.setattr(type(pool.load_engine("fake")), "patience_s", 600.0, raising=False)
    assert PoolOptions().patience_s("fake") == 600
