"""Whatever ends a process, the programs that it has started end with it, and what they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups")
GRACE_S = 10.0

PROGRAM = """
import os, sys, time
child = os.fork()
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file, flush=True)
time.sleep(60)
"""

PARENT = """
import sys
from data_synth.engines import Utterance
from data_synth.engines.command import CommandEngine, CommandOptions
command = [sys.executable, sys.argv[1], sys.argv[2], "{out}"]
CommandEngine(CommandOptions.parse({"command": command})).synthesize([Utterance("hello", "default", 7, {})])
"""


def pids(file: Path, count: int) -> list[int]:
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end:
        found = file.read_text().split() if file.is_file() else []
        if len(found) == count:
            return [int(one) for one in found]
        time.sleep(0.02)
    pytest.fail("the program did not begin")


def lives(pid: int) -> bool:
    """Whether a process is at work; one that ended and was not waited for is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return Path("/proc/self").exists() is False


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
def test_a_program_of_the_command_engine(sent: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    begun = tmp_path / "pids"
    default = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", default + PARENT, str(tmp_path / "program.py"), str(begun)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        started = pids(begun, 2)
        assert all(lives(pid) for pid in started)
        parent.send_signal(sent)
        parent.wait()
    end = time.monotonic() + GRACE_S
    while any(lives(pid) for pid in started) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(lives(pid) for pid in started)
