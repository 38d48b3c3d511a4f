"""What made each stage stands in the stage, and results say where the stages of one run were not made alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.records.mark import DONE_FILE
from speech_analogy.adaptation.runs.makings import makings
from speech_analogy.evaluation import environment
from speech_analogy.evaluation.environment import Making, differences
from speech_analogy.report.report import write_report
from tests.adaptation.building import InThisProcess
from tests.faults.staged import plan_of_files
from tests.report.fake_run import make_run


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of_files(tmp_path / "run")


def do(plan: Plan, command: str) -> None:
    execute(plan, InThisProcess(1, {}), show=False, command=command)


def only(plan: Plan, name: str) -> Plan:
    return Plan(plan.run, [plan.stages[name]])


def test_a_stage_says_what_made_it(plan: Plan) -> None:
    do(plan, "speech-analogy adapt a")
    record = json.loads((plan.folder("first") / DONE_FILE).read_text())["made"]
    assert record["command"] == "speech-analogy adapt a"
    assert {"python", "speech-analogy", "torch", "numpy", "lhotse", "onnxruntime"} <= record["versions"].keys()
    assert "pytest" not in record["versions"]
    assert record["machine"]["processor"]


def test_a_later_command_and_later_versions_made_nothing(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    do(plan, "first command")
    monkeypatch.setattr(environment, "version", lambda name: "999")
    environment.library_versions.cache_clear()
    try:
        do(plan, "second command")
        [made] = makings(plan, None, "second command")
    finally:
        environment.library_versions.cache_clear()
    assert made.command == "first command"
    assert "999" not in made.versions.values()
    assert made.stages == ["first", "second"]


def test_where_stages_differ(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    do(only(plan, "first"), "one")
    monkeypatch.setattr(environment, "version", lambda name: "9.9" if name == "torch" else "1")
    environment.library_versions.cache_clear()
    try:
        do(plan, "two")
    finally:
        environment.library_versions.cache_clear()
    found = makings(plan, None, "three")
    assert [(one.command, one.stages) for one in found] == [("one", ["first"]), ("two", ["second"])]
    one, two = differences(found)
    assert one.startswith("1 stage (first): command one, ")
    assert "torch 9.9" in two
    assert "python 3" not in two


def test_stages_of_earlier_versions_were_made_by_what_the_results_said(plan: Plan, tmp_path: Path) -> None:
    do(plan, "now")
    for stage in plan:
        (plan.folder(stage.name) / DONE_FILE).write_text(json.dumps({"name": stage.name, "seconds": 1.5}))
    earlier = make_run(tmp_path / "reported")
    [made] = makings(plan, earlier, "now")
    assert (made.command, made.versions, made.machine) == (earlier.command, earlier.versions, earlier.machine)
    [unknown] = makings(plan, None, "now")
    assert unknown.command == "now"


def making(**changes: Any) -> Making:
    return Making(**{"stages": ["a"], "command": "x", "versions": {"torch": "1", "numpy": "2"}, **changes})


def test_what_is_not_known_is_no_difference() -> None:
    lines = differences([making(), making(versions={"torch": "3"}, stages=list("abcdefg"))])
    assert lines == ["1 stage (a): torch 1", "7 stages: torch 3"]
    assert differences([making(), making(command="")]) == ["1 stage (a): command x", "1 stage (a): command not known"]


def test_the_report_says_it(tmp_path: Path) -> None:
    run, results = tmp_path, make_run(tmp_path)
    two = [making(command="adapt <b>"), making(command="adapt c", stages=["evaluate-x"])]
    for made, said in (([], False), (two, True)):
        results.model_copy(update={"made": made}).write(run / "results.json")
        page = write_report(run).read_text()
        markdown = (run / "results.md").read_text()
        assert ("1 stage (evaluate-x): command adapt c" in page) == said
        assert ("made otherwise: 1 stage" in markdown) == said
        assert "adapt <b>" not in page
