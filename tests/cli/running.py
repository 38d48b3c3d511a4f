"""Running the command line from a test, and what a user's mistake must look like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {"COLUMNS": "120", "NO_COLOR": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}


def run_in_a_process(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`speech-analogy ARGUMENTS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from speech_analogy.cli.main import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        check=False,
    )


def fails(found: subprocess.CompletedProcess[str], *parts: str) -> None:
    """One line on stderr that has all the parts, status 2."""
    lines = [line for line in found.stderr.splitlines() if line.strip()]
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    assert len(lines) == 1, found.stderr
    for part in parts:
        assert part in lines[0], lines[0]
