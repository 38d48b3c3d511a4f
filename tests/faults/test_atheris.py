"""The harness of atheris runs, counts its runs, and ends with status 77 where a reader fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.faults.atheris_harness import Case, first_inputs
from tests.faults.fuzzing import FuzzedReader

FILES = {"a.txt": b"one", "b.txt": b"two"}


def test_a_case_takes_one_files_place_and_what_fails_is_kept(tmp_path: Path) -> None:
    seen = []

    def read(folder: Path) -> None:
        seen.append([(folder / name).read_bytes() for name in sorted(FILES)])
        if b"bad" in seen[-1]:
            raise ZeroDivisionError

    reader = FuzzedReader("r", FILES, read, names_file=False)
    case = Case(reader, reader.lay_out(tmp_path / "data"), tmp_path / "keep")
    first_inputs(reader, tmp_path / "first")
    for data in (b"\0x", b"\1y", b"\2z", b""):
        case(data)
    assert seen == [[b"x", b"two"], [b"one", b"y"], [b"z", b"two"], [b"", b"two"]]
    assert case.runs == 4
    with pytest.raises(ZeroDivisionError):
        case(b"\1bad")
    assert [path.read_bytes() for path in (tmp_path / "keep").iterdir()] == [b"\1bad"]
    assert sorted(path.read_bytes() for path in (tmp_path / "first").iterdir()) == [b"\0one", b"\1two"]
    assert (tmp_path / "data" / "b.txt").read_bytes() == b"two"


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed")
    found = subprocess.run(
        [sys.executable, "-m", "tests.faults.atheris_harness", "texts", "--runs", "50", "--keep", tmp_path / "keep"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "Done 50" in found.stderr
    assert not (tmp_path / "keep").exists()
