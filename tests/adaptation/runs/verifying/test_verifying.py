"""`verify` names each figure that was edited, and each file that is not what was written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.runs.verify import verify, wrong_figures
from speech_analogy.cli.verifying import verify_command
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results, read_hypotheses
from tests.adaptation.runs.verifying.finished_run import as_written, finished_run
from tests.faults.staged import flipped, in_place


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return finished_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def plan(whole: Plan, tmp_path: Path) -> Plan:
    shutil.copytree(whole.run, tmp_path / "run")
    return Plan(tmp_path / "run", list(whole))


def printed(plan: Plan, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the command line prints of a run that is not whole."""
    with pytest.raises(DataError, match="not everything here is what was written"):
        verify_command(plan.run, quiet=True)
    return capsys.readouterr().out.splitlines()


def damaged(plan: Plan) -> dict[str, str]:
    return verify(plan.run, progress=False).damaged


def test_a_run_as_it_was_written_is_whole(plan: Plan) -> None:
    found = verify(plan.run, progress=False)
    assert found.damaged == {}
    assert found.scores == 8  # of four systems, in their stages and in the results


SYSTEM = (
    "ci95.0", "ci95.1", "cer", "raw_wer", "substitutions", "deletions", "insertions", "over_100", "seconds",
    "source_wer", "fell_back", "silent", "silent_words", "one_pass_wer", "loops", "real_time_factor",
    "target_words.errors", "target_words.words", "terms.spoken", "terms.found", "terms.false",
    "terms.terms.jazz.found", "entities.word.spoken", "entities.word.found", "groups.0.gap", "groups.0.ci95.0",
    "groups.0.groups.0.wer", "groups.0.groups.1.words", "groups.0.groups.0.clusters",
)  # fmt: skip
COMPARED = ("difference", "relative", "ci95.0", "ci95.1", "p_value", "p_holm", "detectable")
TOGETHER = (
    ["test.utterances", "test.speakers", "test.clusters", "test.duration_s", "test.texts.texts"]
    + [f"systems.1.{name}" for name in SYSTEM]
    + [f"comparisons.1.{name}" for name in COMPARED]
    + ["selection.scale_curve.1.wer", "selection.training_trials.0.wer", "selection.strategies.1.regret"]
    + ["estimate.wer.value", "estimate.wer.low", "estimate.against.mixed.high", "estimate.scales.analogy"]
    + ["estimate.stand_ins.0.scores.1.errors", "estimate.scale", "selection.scale"]
    + [f"other_decoders.0.{name}" for name in ("wer", "ours", "ci95.1", "difference", "utterances")]
    + ["ensembles.0.wer", "ensembles.0.ci95.0", "ensembles.0.oracle_wer", "ensembles.0.comparisons.2.p_value"]
    + ["ensembles.0.comparisons.0.difference", "seconds.choose-scale", "seconds.published"]
)
"""Figures that do not depend on each other: an edit of one hides no other."""
ALONE = (
    "systems.1.wer", "systems.1.words", "systems.1.utterances", "systems.1.wer_spoken", "systems.1.wer_unspoken",
    "selection.strategies.0.scale", "selection.strategies.1.scale",
)  # fmt: skip


def edit(content: Any, place: str) -> str:
    """Another number at a place; how a message must begin that names it."""
    *path, name = [int(part) if part.isdigit() else part for part in place.split(".")]
    parent = content
    for part in path:
        parent = parent[part]
    parent[name] = parent[name] + 1 if isinstance(parent[name], int) else parent[name] * 0.9 + 0.001
    return str(name) if isinstance(name, str) else f"{path[-1]}[{name}]"


def wrong_in(plan: Plan, content: Any) -> list[str]:
    results = Results.model_validate(content)
    rows = {one.hypotheses_file: read_hypotheses(plan.run / one.hypotheses_file) for one in results.systems}
    return wrong_figures(plan.run, results, rows)


def test_every_edited_figure_is_named(whole: Plan) -> None:
    content = json.loads((whole.run / "results.json").read_text())
    assert wrong_in(whole, content) == []
    named = [(place, edit(content, place)) for place in TOGETHER]
    said = wrong_in(whole, content)
    for place, name in named:
        own = [line for line in said if line.startswith(place.partition(".")[0])]
        assert any(re.search(rf"\b{re.escape(name)}\]? is .*, and .* is written", line) for line in own), place
    assert len(said) >= len(TOGETHER)


@pytest.mark.parametrize("place", ALONE)
def test_an_edited_figure_is_named(whole: Plan, place: str) -> None:
    content = json.loads((whole.run / "results.json").read_text())
    name = edit(content, place)
    assert any(name in line and line.startswith(place.partition(".")[0]) for line in wrong_in(whole, content))


def test_an_edited_figure_is_one_line(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    """Though the digests were written anew after it: what is written is compared with what follows."""
    content = json.loads((plan.run / "results.json").read_text())
    for place in ("comparisons.0.p_value", "comparisons.1.ci95.1", "ensembles.0.ci95.0", "seconds.published"):
        edit(content, place)
    (plan.run / "results.json").write_text(json.dumps(content))
    as_written(plan)
    (line,) = [line for line in printed(plan, capsys) if line.startswith("results.json: ")]
    assert re.search(r"comparisons\[zero_shot\]\.p_value is [\d.e-]+, and [\d.e-]+ is written", line)
    assert line.endswith("and 1 more")


@pytest.mark.parametrize("place", ["test.title", "test.dropped_empty_references", "versions", "found"])
def test_what_follows_from_nothing_is_found_by_its_digest(plan: Plan, place: str) -> None:
    file = plan.run / "results.json"
    content = json.loads(file.read_text())
    *path, name = place.split(".")
    parent = content[path[0]] if path else content
    value = parent.get(name)
    parent[name] = {"python": "9"} if name == "versions" else ["x"] if name == "found" else 3 if value == 0 else "x"
    file.write_text(json.dumps(content))
    assert damaged(plan)["results.json"] == "it is not what was written"


def appended(content: bytes) -> bytes:
    return content + b" "


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("model/model/weights.bin", flipped, "it is not what published-"),
        ("model/model/weights.bin", appended, "it is not what published-"),
        ("model/model/weights.bin", None, "it is missing, and published-"),
        ("published.json", lambda _: b'{"system": "mixed"}', "it names mixed, which is not what the run has published"),
        ("published.json", lambda _: b"{}", "does not name a system"),
        ("results.md", appended, "it does not follow from results.json"),
        ("model/README.md", appended, "it does not follow from results.json"),
        ("hypotheses/mixed.jsonl", appended, "it is not what was written"),
        ("hypotheses/mixed.jsonl", None, "the hypotheses file is missing"),
    ],
)
def test_a_changed_file_is_named(
    plan: Plan,
    file: str,
    change: Callable[[bytes], bytes] | None,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = file.replace("model/model/", "model/")
    if change is None:
        (plan.run / file).unlink()
    else:
        in_place(plan.run / file, change, same_time=True)
    lines = [line for line in printed(plan, capsys) if line.startswith(f"{file}: ")]
    assert any(said in line for line in lines), lines


def test_a_file_that_nobody_has_made_is_named(plan: Plan) -> None:
    (plan.run / "model" / "extra.bin").write_bytes(b"1")
    assert "has made no such file" in damaged(plan)["model/extra.bin"]


def test_a_report_of_other_results_is_named(plan: Plan) -> None:
    in_place(plan.run / "results.json", appended)
    as_written(plan)
    assert "it shows other results" in damaged(plan)["report.html"]


def test_what_publishing_adds_is_part_of_the_copy(plan: Plan, small_whisper: Path) -> None:
    """A whole Whisper folder gets files that the stage has not; they are as exactly known as the others."""
    from speech_analogy.adaptation.records.mark import mark
    from speech_analogy.adaptation.runs.measured import publish
    from speech_analogy.report.report import write_report

    stage = plan.folder("published")
    shutil.rmtree(stage / "model")
    shutil.copytree(small_whisper, stage / "model")
    (stage / "model" / "merges.txt").unlink(missing_ok=True)
    mark(stage, "published", plan.seconds("published"), {})
    model = publish(plan, plan.stages["published"]["model"])
    write_report(plan.run, json.loads((plan.run / "published.json").read_text())["system"])
    assert damaged(plan) == {}
    assert (model / "merges.txt").is_file()
    names = sorted(path.name for path in model.iterdir() if path.is_file() and path.name != "README.md")
    for name in names:
        in_place(model / name, flipped, same_time=True)
    assert set(damaged(plan)) == {f"model/{name}" for name in names}
