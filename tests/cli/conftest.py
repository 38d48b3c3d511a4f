"""The command line, run in two ways: in the test's process, which costs no start, and in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_analogy.cli import main as cli
from tests.cli.running import ENVIRONMENT, run_in_a_process

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["here", pytest.param("process", marks=pytest.mark.slow)])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run(*arguments, cwd=None)`: what `speech-analogy ARGUMENTS` prints and the status it ends with."""

    def here(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name, value in {**ENVIRONMENT, "OMP_WAIT_POLICY": "PASSIVE"}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["speech-analogy", *map(str, arguments)])
            if cwd is not None:
                patch.chdir(cwd)
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                cli.main()
        status = ended.value.code
        return subprocess.CompletedProcess(arguments, status if isinstance(status, int) else 0, *capfd.readouterr())

    return here if request.param == "here" else run_in_a_process
