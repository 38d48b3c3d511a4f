"""One process at a time: a second one is refused at once, and no lock outlives its process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speech_analogy.errors import DataError, SynthesisError
from speech_analogy.foundation.locks import held

HOLD = """
import pathlib, sys, time
from speech_analogy.foundation.locks import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(SynthesisError, match=r"run: another process is working"), held(folder, SynthesisError):
            pytest.fail("held twice")
        process.send_signal(signal.SIGKILL)
    with held(folder):
        assert folder.is_dir()


def test_it_is_free_again_after_the_block_and_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(tmp_path):
        raise KeyError
    with held(tmp_path), pytest.raises(DataError), held(tmp_path):
        pytest.fail("held twice")
    with held(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(DataError, match="locked"), held(tmp_path):
        pytest.fail("held a folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="locked"), held(tmp_path / "file" / "run"):
        pytest.fail("held what is below a file")
