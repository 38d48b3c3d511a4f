"""One made-up run, written once: tests that change a run work on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from speech_analogy.evaluation.results import Results
from speech_analogy.report.report import write_report
from tests.report.fake_run import make_run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with its report. Not to be changed."""
    run = tmp_path_factory.mktemp("run")
    make_run(run)
    write_report(run)
    return run


@pytest.fixture
def results(made: Path) -> Results:
    """The results of `made`."""
    return Results.read(made / "results.json")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of `made` elsewhere, as a user would carry it to another machine."""
    return Path(shutil.copytree(made, tmp_path / "copied"))
