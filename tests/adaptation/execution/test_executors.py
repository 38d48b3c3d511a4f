"""Executors: one protocol, one way to fill a folder; what is finished elsewhere is taken over."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import pytest
from pydantic import Field

from speech_analogy.adaptation.execution.protocol import (
    EXECUTORS,
    Executor,
    Finished,
    Job,
    RunError,
    make_executor,
)
from speech_analogy.adaptation.execution.run_stage import run_stage
from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.stages import registry
from speech_analogy.adaptation.stages.params.base import Output, StageParams
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.locks import held


class CountParams(StageParams):
    """Adds up what earlier stages counted, and one."""

    kind: ClassVar = "count"
    version: ClassVar = 1
    outputs: ClassVar = {"count": "count.json"}

    label: str
    behind: tuple[Output, ...] = Field(default=(), exclude=True)
    fails: str = ""


def count(work: Work[CountParams]) -> None:
    if work.params.fails == "error":
        raise DataError("the recording cannot be read", file="a.wav")
    work.write("count.json", 1 + sum(work.read(output) for output in work.params.behind))


class HereExecutor:
    """Does each job at once, in the caller's process."""

    def __init__(self, slots: int | None, options: Mapping[str, str]) -> None:
        self.slots, self.place, self.options = slots or 1, "this process", options
        self.submitted: list[str] = []
        self.cancelled = 0
        self._ended: list[Finished] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, job: Job) -> None:
        self.submitted.append(job.stage.name)
        assert len(self._ended) < self.slots
        try:
            run_stage(job)
        except Exception as error:
            self._ended.append(Finished(job.stage.name, error))
        else:
            self._ended.append(Finished(job.stage.name))

    def wait(self, timeout_s: float) -> list[Finished]:
        ended, self._ended = self._ended, []
        return ended

    def cancel(self) -> None:
        self.cancelled += 1


def stage(name: str, *behind: Stage, fails: str = "") -> Stage:
    return Stage(name, CountParams(label=name, behind=tuple(one["count"] for one in behind), fails=fails))


@pytest.fixture
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.FUNCTIONS, CountParams, count)


@pytest.fixture
def three(tmp_path: Path, _counted: None) -> Plan:
    first = stage("first")
    second = stage("second", first)
    return Plan(tmp_path / "run", [first, second, stage("third", first, second)])


def test_stages_are_done_behind_what_they_read(three: Plan) -> None:
    executor = HereExecutor(1, {})
    execute(three, executor, show=False)
    assert executor.submitted == ["first", "second", "third"]
    counts = [json.loads(three.path(one["count"]).read_text()) for one in three]
    assert counts == [1, 2, 4]
    assert not list((three.run / "stages").glob(".*")), "nothing is left of building"
    assert all(three.seconds(one.name) >= 0 for one in three)
    execute(three, executor, show=False)
    assert executor.submitted == ["first", "second", "third"], "what is done is not done again"


def test_an_executor_is_one_class_and_one_registration(three: Plan) -> None:
    made: list[HereExecutor] = []

    def factory(slots: int | None, options: Mapping[str, str]) -> Executor:
        made.append(HereExecutor(slots, options))
        return made[-1]

    EXECUTORS.add("here", factory)
    try:
        execute(three, make_executor("here:address=a,port=1", 3), show=False)
    finally:
        EXECUTORS.remove("here")
    assert (made[0].slots, made[0].options) == (3, {"address": "a", "port": "1"})
    assert not three.undone()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("locl", "no such executor.*did you mean 'local'"),
        ("local:cores=3", "the local executor has no options.*cores"),
        ("local:cores", "KEY=VALUE"),
    ],
)
def test_a_wrong_executor_is_one_line(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_executor(spec)


@pytest.mark.usefixtures("_counted")
def test_an_error_ends_the_run_and_leaves_what_was_done(tmp_path: Path) -> None:
    first = stage("first")
    plan = Plan(tmp_path / "run", [first, stage("second", first, fails="error")])
    executor = HereExecutor(1, {})
    with pytest.raises(DataError, match=r"a\.wav"):
        execute(plan, executor, show=False)
    assert executor.cancelled == 1
    assert [one.name for one in plan.undone()] == ["second"]


def test_what_a_sibling_has_finished_is_taken_over(three: Plan, tmp_path: Path) -> None:
    execute(three, HereExecutor(1, {}), show=False)
    first = stage("first")
    other = Plan(tmp_path / "other", [first, stage("new", first)], siblings=[tmp_path / "nothing", three.run])
    execute(other, HereExecutor(1, {}), show=False)
    taken = other.path(first["count"])
    assert taken.samefile(three.path(first["count"]))
    assert json.loads((other.folder("new") / "count.json").read_text()) == 2


def test_two_processes_do_not_work_in_one_run(three: Plan) -> None:
    with held(three.run), pytest.raises(RunError, match="another process"):
        execute(three, HereExecutor(1, {}), show=False)


@pytest.mark.slow
def test_local_workers_do_the_same_and_their_death_is_one_line(tmp_path: Path) -> None:
    """In real processes: stages of the registered kinds fail or are killed, and the run says which."""
    from tests.adaptation.execution.processes import plan_of_processes

    plan = plan_of_processes(tmp_path / "good")
    execute(plan, make_executor("local", 2), show=False)
    assert not plan.undone()
    start = time.monotonic()
    with pytest.raises(RunError, match=r"^deadly: a worker died"):
        execute(plan_of_processes(tmp_path / "bad", deadly=True), make_executor("local", 1), show=False)
    assert time.monotonic() - start < 60
