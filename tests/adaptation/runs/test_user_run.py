"""The user's run from texts and recordings to a model, a report and a recipe that does nothing more."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from speech_analogy.adaptation.runs.adapt import Adaptation, adapt
from speech_analogy.evaluation.results import Results
from speech_analogy.report.report import write_report
from speech_analogy.report.screen import table
from tests.adaptation.job.material import DISHES, make_job, make_source

pytest.importorskip("hibari", reason="hibari-tts is not installed")

QUICK = [
    "training={epochs: 1, precision: fp32}",
    "synthesis={source: &spoken {engines: [hibari], gates: null, voices_per_text: 1}, target: *spoken}",
    "scales=[0, 1]",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def job(folder: Path, small_whisper: Path) -> dict[str, Any]:
    content = make_job(folder, small_whisper)
    return {
        **content,
        "source": str(folder / "recordings"),
        "target": {"texts": str(folder / "menu.txt")},
    }


@pytest.fixture(scope="module")
def done(folder: Path, job: dict[str, Any]) -> Adaptation:
    return adapt(job, folder / "run", overrides=QUICK, progress=False, workers=1)


def test_it_ends_with_a_model_and_without_a_measurement(done: Adaptation) -> None:
    assert done.model is not None
    assert (done.model / "model.safetensors").is_file()
    assert done.system == "mean_of_mixed_and_analogy"
    results = Results.read(done.run / "results.json")
    assert results.systems == []
    assert results.test.utterances == 0
    assert "no word error rate was measured" in results.test.note
    assert results.counts["target_synthetic"]["texts"] == len(DISHES)
    assert {"source.hold_out", "publish"} <= {choice.key for choice in results.defaults}
    assert results.found[0] == f"{done.run.parent}/menu.txt: 6 texts of 6 lines"


def test_its_recipe_does_nothing_more(done: Adaptation) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done.run / "stages").rglob("*") if path.is_file()}
    results = Results.read(done.run / "results.json")
    adapt(done.run / "recipe.yaml", done.run, progress=False, workers=1)
    assert {path: path.stat().st_mtime_ns for path in (done.run / "stages").rglob("*") if path.is_file()} == before
    again = Results.read(done.run / "results.json")
    assert again.defaults == results.defaults
    assert again.found == results.found


def test_the_report_says_what_was_found_and_chosen_and_that_nothing_was_measured(done: Adaptation) -> None:
    page = write_report(done.run, done.system).read_text(encoding="utf-8")
    markdown = (done.run / "results.md").read_text(encoding="utf-8")
    card = (done.run / "model" / "README.md").read_text(encoding="utf-8")
    for text in (page, markdown):
        assert "What was chosen by default" in text
        assert "training.epochs" not in text  # it was given
        assert "hold_out" in text
        assert "30 utterances" in text
    for text in (page, markdown, card, table(done.results)):
        assert "no word error rate was measured" in text
        assert not re.search(r"\b0 utterances", text)


def test_a_test_and_unlabelled_recordings(folder: Path, job: dict[str, Any], done: Adaptation) -> None:
    make_source(folder / "labelled", 6)
    shutil.copytree(folder / "labelled", folder / "calls")
    (folder / "calls" / "metadata.csv").unlink()
    target = {**job["target"], "test": str(folder / "labelled"), "unlabelled": str(folder / "calls")}
    asked = {**job, "target": target}
    found = adapt(asked, folder / "tested", overrides=QUICK, siblings=[done.run], progress=False, workers=1)
    results = found.results
    assert {system.name for system in results.systems} >= {"zero_shot", "mixed", "mean_of_mixed_and_analogy"}
    assert results.test.utterances == 6
    assert results.selection is not None
    assert results.selection.scale_chosen_on == "agreement on unlabelled target recordings: 6 utterances"
    trained = "finetune-mixed"
    [one] = (done.run / "stages").glob(f"{trained}-*")
    assert (one / "stage.json").samefile(folder / "tested" / "stages" / one.name / "stage.json")
