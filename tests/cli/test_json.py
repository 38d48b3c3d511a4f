"""`--json`: standard output is one JSON document, whatever a verb has to say beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from speech_analogy.cli.main import app
from speech_analogy.evaluation.results import Results
from tests.adaptation.runs.verifying.finished_run import finished_run
from tests.cli.running import fails, run_in_a_process
from tests.report.fake_run import make_run


def test_score_prints_its_results(tmp_path: Path) -> None:
    rows = [{"id": name, "text": "two soups", "pred_text": heard} for name, heard in (("a", "two soups"), ("b", "too"))]
    (tmp_path / "ours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = CliRunner().invoke(app, ["score", str(tmp_path / "ours.jsonl"), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))


def test_report_prints_the_runs_results(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0, done.output
    assert Results.model_validate_json(done.stdout) == made
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("whole", [True, False])
def test_verify_prints_what_it_found_and_its_status_says_whether_all_is_well(tmp_path: Path, whole: bool) -> None:
    plan = finished_run(tmp_path / "run")
    if not whole:
        file = plan.run / "results.json"
        file.write_text(file.read_text(encoding="utf-8").replace('"utterances"', '"utterance"'), encoding="utf-8")
    done = run_in_a_process("verify", plan.run, "--json", "--quiet")
    found = json.loads(done.stdout)
    assert found["stages"] == len([one for one in (plan.run / "stages").iterdir() if one.is_dir()])
    assert (found["damaged"] == {}) is whole
    if whole:
        assert done.returncode == 0
    else:
        fails(done, "not everything here is what was written")


@pytest.mark.parametrize("more", [["--dry-run"], ["--targets", "each"], ["--vary", "seed=1,2"]])
def test_what_is_not_one_runs_results_has_no_json(tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "recipe.yaml").write_text("title: x\n", encoding="utf-8")
    fails(run_in_a_process("adapt", tmp_path / "recipe.yaml", "--json", *more), "--json", "one run")
