"""Killed at random moments and started again, a run ends with the files of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data_synth.contents import files, folders

TEXTS = 40
KILLS = int(os.environ.get("DATA_SYNTH_KILLS", "3"))  # more by hand: DATA_SYNTH_KILLS=25 pytest ...
ROWS = 200  # the whole run's ledger has some more; every kill comes after a random share of them, and a moment
MOMENT_S = 0.1
GRACE_S = 30.0  # for workers to end after their parent

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")]


def start(texts: Path, out: Path, workers: int, storage: str, plugin: Path) -> subprocess.Popen[bytes]:
    options = ["--engines", "fake:slow+flaky+raises", "--voices-per-text", "3", "--workers", str(workers), "--quiet"]
    options += ["--storage", storage, "--clips-per-tar", "12"]
    return subprocess.Popen(
        [sys.executable, "-m", "data_synth", str(texts), "--out", str(out), *options],
        env={**os.environ, "PYTHONPATH": str(plugin), "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(texts: Path, out: Path, workers: int, storage: str, plugin: Path) -> None:
    process = start(texts, out, workers, storage, plugin)
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint.decode()


def rows_in(ledger: Path) -> int:
    return ledger.read_bytes().count(b"\n") if ledger.is_file() else 0


def wait_for_no_one(session: int) -> None:
    """Workers end with their parent: none is left in its session."""
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a worker outlived its parent")


@pytest.mark.parametrize(("workers", "storage"), [(1, "flac"), (4, "flac"), (2, "shar")])
def test_kill_9_at_random_moments(tmp_path: Path, plugin: Path, workers: int, storage: str) -> None:
    texts = tmp_path / "texts.jsonl"
    rows = [{"text": f"say number {number}", "domain": "ab"[number % 2]} for number in range(TEXTS)]
    texts.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "..."}]))
    finish(texts, tmp_path / "undisturbed", 1, storage, plugin)
    dice = random.Random(workers)
    ledger = tmp_path / "killed" / "ledger.jsonl"
    for _ in range(KILLS):
        process = start(texts, tmp_path / "killed", workers, storage, plugin)
        goal = rows_in(ledger) + dice.randrange(1 + ROWS // KILLS)
        while process.poll() is None and rows_in(ledger) < goal:
            time.sleep(0.001)
        time.sleep(dice.uniform(0, MOMENT_S))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_for_no_one(process.pid)
    assert rows_in(ledger) > 0, "no kill fell into the making of clips"
    finish(texts, tmp_path / "killed", workers, storage, plugin)
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")
    assert folders(tmp_path / "killed") == folders(tmp_path / "undisturbed")
