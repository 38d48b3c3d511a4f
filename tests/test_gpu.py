"""The GPU's cases (`gpu_cases.py`), in a process of their own.

Beside them, in one process, tests that compare weights bit for bit with those of another process fail.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_cases_on_a_pretended_gpu() -> None:
    cases = Path(__file__).with_name("gpu_cases.py")
    command = [sys.executable, "-m", "pytest", str(cases), "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
