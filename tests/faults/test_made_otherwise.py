"""A stage that was made anew and came out with other bytes: what was made from it is made anew, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.records.mark import DONE_FILE
from speech_analogy.adaptation.runs.damaged import set_aside_damaged
from speech_analogy.adaptation.runs.verify import verify
from speech_analogy.adaptation.stages import registry
from speech_analogy.adaptation.stages.work import Work
from tests.adaptation.building import InThisProcess
from tests.faults.staged import FilesParams, files_stage, flipped, in_place, make_files

Change = Callable[[Work[FilesParams]], None]


def three_stages(run: Path, siblings: tuple[Path, ...] = ()) -> Plan:
    """Each reads the score of the one before it, and a fourth that reads nothing."""
    first = files_stage("first")
    second = files_stage("second", first)
    return Plan(run, [first, second, files_stage("third", second), files_stage("alone")], siblings)


def do(plan: Plan) -> list[str]:
    """Do what is left; the names of stages in the order in which they were done."""
    done: list[str] = []

    class Noting(InThisProcess):
        def submit(self, job: object) -> None:
            done.append(job.stage.name)  # type: ignore[attr-defined]
            super().submit(job)  # type: ignore[arg-type]

    set_aside_damaged(plan, show=False)
    execute(plan, Noting(1, {}), show=False)
    return done


@pytest.fixture
def otherwise(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """From now on the stage `first` comes out otherwise, as with another library."""

    def set_to(change: Change) -> None:
        def make(work: Work[FilesParams]) -> None:
            make_files(work)
            if work.params.label == "first":
                change(work)

        monkeypatch.setitem(registry.FUNCTIONS, FilesParams, make)

    return set_to


def another_score(work: Work[FilesParams]) -> None:
    work.write("score.json", {"wer": 12.5, "sum": 7})


def another_model(work: Work[FilesParams]) -> None:
    (work.folder / "model" / "weights.bin").write_bytes(b"other weights")


def another_time(work: Work[FilesParams]) -> None:
    work.write("score.json", {"wer": 12.5, "seconds": 99.0, "sum": 1})


def test_everything_behind_it_is_made_anew(plan: Plan, otherwise: Callable[[Change], None]) -> None:
    otherwise(another_score)
    in_place(plan.folder("first") / "model/weights.bin", flipped)
    assert do(plan) == ["first", "second", "third"]
    assert json.loads((plan.folder("third") / "score.json").read_text())["sum"] == 9
    assert verify(plan.run, progress=False).damaged == {}
    assert do(plan) == []


@pytest.mark.parametrize("change", [another_model, another_time])
def test_what_nobody_reads_and_what_the_clock_says_change_nothing(
    plan: Plan, otherwise: Callable[[Change], None], change: Change
) -> None:
    """The second stage reads the score alone."""
    otherwise(change)
    in_place(plan.folder("first") / "clips/00/a.flac", flipped)
    assert do(plan) == ["first"]
    assert verify(plan.run, progress=False).damaged == {}


def test_a_run_that_was_killed_in_between_goes_on(
    plan: Plan, otherwise: Callable[[Change], None], capsys: pytest.CaptureFixture[str]
) -> None:
    otherwise(another_score)
    (plan.folder("first") / DONE_FILE).unlink()
    execute(Plan(plan.run, [plan.stages["first"]]), InThisProcess(1, {}), show=False)
    name = f"stages/{plan.folder('second').name}"
    assert verify(plan.run, progress=False).damaged == {name: "first/score.json is another one than it was made from"}
    assert "made from" in verify(plan.run, progress=False).damaged[name]
    assert do(plan) == ["second", "third"]


def test_it_is_said_and_its_key_goes(plan: Plan, otherwise: Callable[[Change], None]) -> None:
    otherwise(another_score)
    (plan.folder("first") / DONE_FILE).unlink()
    execute(Plan(plan.run, [plan.stages["first"]]), InThisProcess(1, {}), show=False)
    (plan.run / "plan.sha256").write_text(plan.digest())
    set_aside_damaged(plan, show=False)
    assert not (plan.run / "plan.sha256").exists()
    assert [one.name for one in plan.undone()] == ["second"]


def test_logs_whose_names_say_the_time_enter_no_record(tmp_path: Path, otherwise: Callable[[Change], None]) -> None:
    """Two runs of one recipe say the same of themselves."""
    records = []
    for number in (1, 2):

        def logging(work: Work[FilesParams], number: int = number) -> None:
            log = work.folder / "model" / "training" / f"events.{number}"
            log.parent.mkdir()
            log.write_text(str(number))

        otherwise(logging)
        plan = three_stages(tmp_path / str(number))
        do(plan)
        assert f"model/training/events.{number}" in (plan.mark("first").files or {})
        records.append((plan.mark("first").timeless, plan.mark("first").essence("model"), plan.mark("second").inputs))
    assert records[0] == records[1]


def test_what_another_run_made_from_others_is_not_taken_over(
    plan: Plan, otherwise: Callable[[Change], None], tmp_path: Path
) -> None:
    other = three_stages(tmp_path / "other", siblings=(plan.run,))
    otherwise(another_score)
    execute(Plan(other.run, [files_stage("first")]), InThisProcess(1, {}), show=False)
    assert do(other) == ["second", "third", "alone"]
    assert json.loads((other.folder("third") / "score.json").read_text())["sum"] == 9
    assert (other.folder("alone") / "score.json").samefile(plan.folder("alone") / "score.json")


def test_stages_of_earlier_versions_say_nothing_of_what_they_were_made_from(
    plan: Plan, otherwise: Callable[[Change], None]
) -> None:
    for stage in plan:
        (plan.folder(stage.name) / DONE_FILE).write_text(json.dumps({"name": stage.name, "seconds": 1.5}))
    otherwise(another_score)
    (plan.folder("first") / DONE_FILE).unlink()
    assert do(plan) == ["first"]


def test_metadata_of_tensors_may_hold_the_time(tmp_path: Path, otherwise: Callable[[Change], None]) -> None:
    """A vector's file says when it was made; its tensors are what is read."""
    times = iter(["one", "two", "three"])

    def vector(value: float) -> Change:
        def write(work: Work[FilesParams]) -> None:
            save_file({"t": np.full(3, value)}, work.folder / "score.json.safetensors", {"created": next(times)})
            (work.folder / "score.json.safetensors").rename(work.folder / "model" / "v.safetensors")

        return write

    otherwise(vector(1.0))
    plan = three_stages(tmp_path / "vectors")
    do(plan)
    before = plan.mark("first").essence("model")
    otherwise(vector(1.0))
    in_place(plan.folder("first") / "score.json", flipped)
    assert do(plan) == ["first"]
    assert plan.mark("first").essence("model") == before
    otherwise(vector(2.0))
    in_place(plan.folder("first") / "score.json", flipped)
    do(plan)
    assert plan.mark("first").essence("model") != before


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    made = three_stages(tmp_path / "run")
    do(made)
    return made
