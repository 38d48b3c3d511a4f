"""The user's run from texts and recordings to a model, a report and a recipe that does nothing more."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from speech_analogy.adaptation.runs.adapt import Adaptation, adapt, plan_run
from speech_analogy.cli.main import app
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results
from speech_analogy.report.report import write_report
from speech_analogy.report.screen import table
from tests.adaptation.job.material import DISHES, make_job, make_source

pytest.importorskip("hibari", reason="hibari-tts is not installed")

WINDOWS = "our decoder with 30 s windows"
QUICK = [
    "training={epochs: 1, precision: fp32}",
    "synthesis={source: &spoken {engines: [hibari], gates: null, voices_per_text: 1}, target: *spoken}",
    "scales=[0, 1]",
    "widen.utterances=2",
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
    assert results.estimate is not None
    assert results.estimate.stand_ins == []
    assert results.counts["target_synthetic"]["texts"] == len(DISHES)
    kept = {side: sum(one.kept for one in results.spoken_by if one.side == side) for side in ("target", "source")}
    assert kept["target"] == results.counts["target_synthetic"]["utterances"]
    assert kept["source"] == results.counts["source_synthetic"]["utterances"]
    assert {(one.voice, one.licence) for one in results.spoken_by} == {("hibari:heart", "Apache-2.0")}
    assert {"language", "publish"} <= {choice.key for choice in results.defaults}
    assert results.found[0] == f"{done.run.parent}/menu.txt: 6 texts of 6 lines"


def test_its_recipe_does_nothing_more(done: Adaptation) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done.run / "stages").rglob("*") if path.is_file()}
    results = Results.read(done.run / "results.json")
    adapt(done.run / "recipe.yaml", done.run, progress=False, workers=1)
    assert {path: path.stat().st_mtime_ns for path in (done.run / "stages").rglob("*") if path.is_file()} == before
    again = Results.read(done.run / "results.json")
    assert again.defaults == results.defaults
    assert again.found == results.found


def test_its_results_are_printed_as_json(done: Adaptation) -> None:
    arguments = ["adapt", str(done.run / "recipe.yaml"), "--out", str(done.run), "--json", "--quiet"]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout) == json.loads((done.run / "results.json").read_text(encoding="utf-8"))


def test_the_report_says_what_was_found_and_chosen_and_that_nothing_was_measured(done: Adaptation) -> None:
    page = write_report(done.run, done.system).read_text(encoding="utf-8")
    markdown = (done.run / "results.md").read_text(encoding="utf-8")
    card = (done.run / "model" / "README.md").read_text(encoding="utf-8")
    for text in (page, markdown):
        assert "What was chosen by default" in text
        assert "training.epochs" not in text  # it was given
        assert "publish" in text
        assert "30 utterances" in text
    for text in (page, markdown, card, table(done.results)):
        assert "There were no recordings of the target to test it on" in text
        assert not re.search(r"\b0 utterances", text)


def test_the_recipe_is_kept_anew_when_the_same_run_is_asked_for_more(
    done: Adaptation, job: dict[str, Any], tmp_path: Path
) -> None:
    for note in ("first", "second"):
        content = {**job, "note": note}
        adapt(content, tmp_path / "run", overrides=QUICK, siblings=[done.run], progress=False, workers=1)
        kept = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8"))
        assert kept["note"] == note
    own = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8") + "# my own remark\n"
    (tmp_path / "run" / "recipe.yaml").write_text(own, encoding="utf-8")
    adapt(tmp_path / "run" / "recipe.yaml", tmp_path / "run", progress=False, workers=1)
    assert (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8") == own


def test_a_test_of_the_sources_recordings_is_refused(folder: Path, job: dict[str, Any]) -> None:
    asked = {**job, "target": {**job["target"], "test": str(make_source(folder / "copies", 6))}}
    with pytest.raises(DataError, match=r"recordings of the test were in training .*6 of 6.* --allow-overlap"):
        plan_run(asked, folder / "refused")
    plan_run(asked, folder / "allowed", overrides=["allow_overlap=recordings"])


def test_a_test_and_unlabelled_recordings(folder: Path, job: dict[str, Any], done: Adaptation) -> None:
    make_source(folder / "labelled", 6, seed=1)
    shutil.copytree(folder / "labelled", folder / "calls")
    (folder / "calls" / "metadata.csv").unlink()
    target = {**job["target"], "test": str(folder / "labelled"), "unlabelled": str(folder / "calls")}
    asked = {**job, "target": target}
    quick = [*QUICK, f"other_decoders.decoders=['{WINDOWS}']"]  # the pipeline is tried on its own
    found = adapt(asked, folder / "tested", overrides=quick, siblings=[done.run], progress=False, workers=1)
    results = found.results
    assert [(row.decoder, row.utterances) for row in results.other_decoders] == [(WINDOWS, 6)]
    assert f"The published model in {WINDOWS}, on these utterances" in " ".join(table(results).split())
    assert {system.name for system in results.systems} >= {"zero_shot", "mixed", "mean_of_mixed_and_analogy"}
    assert results.test.utterances == 6
    said = {word for line in (folder / "recordings" / "metadata.csv").read_text().splitlines() for word in line.split()}
    own = {word for dish in DISHES for word in dish.split()} - {part for word in said for part in word.split(",")}
    for system in results.systems:
        found_words = system.target_words
        assert found_words is not None
        assert found_words.vocabulary == len(own)
        assert found_words.words + found_words.others == system.words
        errors = system.substitutions + system.deletions + system.insertions
        assert found_words.errors + found_words.other_errors == errors
        assert system.loops is not None
    assert results.selection is not None
    assert results.selection.scale_chosen_on == "agreement on unlabelled target recordings: 6 utterances"
    trained = "finetune-target_synthetic"
    [one] = (done.run / "stages").glob(f"{trained}-*")
    assert (one / "stage.json").samefile(folder / "tested" / "stages" / one.name / "stage.json")
