"""What a finished stage wrote is what the next one reads: damage is found, said, and made anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.records.mark import DONE_FILE, DamagedStageError
from speech_analogy.adaptation.runs.adapt import adapt
from speech_analogy.adaptation.runs.damaged import damaged_stages, set_aside_damaged
from speech_analogy.adaptation.runs.key import is_measured, write_key
from speech_analogy.adaptation.runs.verify import verify
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results, read_hypotheses, write_hypotheses
from speech_analogy.foundation.locks import held
from tests.adaptation.building import InThisProcess, stages_in_this_process
from tests.adaptation.job.material import make_job, make_source
from tests.cli.running import fails, run_in_a_process
from tests.faults.staged import files_stage, flipped, in_place, plan_of_files, truncated, zeroed

DEEP, CLIP_FILE = "model/weights.bin", "clips/00/a.flac"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    made = plan_of_files(tmp_path / "run")
    execute(made, InThisProcess(1, {}), show=False)
    return made


def files_of(plan: Plan) -> dict[str, bytes]:
    stages = plan.run / "stages"
    files = [path for path in stages.rglob("*") if path.is_file() and path.name != DONE_FILE]
    return {path.relative_to(stages).as_posix(): path.read_bytes() for path in files}


def edited_score(content: bytes) -> bytes:
    return content.replace(b"12.5", b"11.5")


@pytest.mark.parametrize(
    ("file", "change", "same_time", "said"),
    [
        (DEEP, flipped, False, "another content"),
        (DEEP, truncated, True, "51200 bytes, and had 102400"),
        (CLIP_FILE, zeroed, False, "another content"),
        (CLIP_FILE, truncated, False, "5000 bytes, and had 10000"),
        ("score.json", edited_score, True, "another content"),
        (DONE_FILE, truncated, False, "is not what was written"),
        (DONE_FILE, flipped, True, "is not what was written"),
        (DONE_FILE, lambda _: b"", False, "is not what was written"),
        (DONE_FILE, lambda _: b'{"name": "first", "files": 3}', False, "is not what was written"),
    ],
)
@pytest.mark.parametrize("stage", ["first", "second"])
def test_a_damaged_stage_is_said_and_made_anew(
    plan: Plan,
    stage: str,
    file: str,
    change: Callable[[bytes], bytes],
    same_time: bool,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files_of(plan)
    in_place(plan.folder(stage) / file, change, same_time=same_time)
    assert list(damaged_stages(plan)) == [stage]
    set_aside_damaged(plan)
    [line] = capsys.readouterr().err.strip().splitlines()
    assert all(part in line for part in (stage, file, said, "it is made anew")), line
    assert [one.name for one in plan.undone()] == [stage]
    execute(plan, InThisProcess(1, {}), show=False)
    assert files_of(plan) == before
    assert damaged_stages(plan) == {}
    assert verify(plan.run, progress=False).damaged == {}


def test_who_holds_the_run_looks_for_damage(plan: Plan) -> None:
    """As `adapt` does, which holds it from its beginning."""
    in_place(plan.folder("first") / DEEP, flipped)
    with held(plan.run):
        set_aside_damaged(plan, show=False)
    assert [one.name for one in plan.undone()] == ["first"]


def test_a_missing_file_and_one_that_came_later(plan: Plan) -> None:
    (plan.folder("first") / "score.json~").write_text("an editor's")
    assert damaged_stages(plan) == {}
    (plan.folder("first") / CLIP_FILE).unlink()
    assert damaged_stages(plan) == {"first": f"{CLIP_FILE} is missing"}


@pytest.mark.parametrize("file", [DEEP, CLIP_FILE, "score.json"])
def test_what_a_disk_damages_is_found_when_it_is_read(
    plan: Plan, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Size and time are the same; the stage is done once more in the same run, before the one that reads it."""
    before = files_of(plan)
    shutil.rmtree(plan.folder("second"))
    in_place(plan.folder("first") / file, flipped, same_time=True)
    execute(plan, InThisProcess(1, {}), show=True)
    assert f"first: a file of this stage is not what was written: {file}" in capsys.readouterr().err
    assert files_of(plan) == before


def test_a_disk_that_damages_everything_ends_the_run(plan: Plan) -> None:
    """Made anew once, not for ever."""
    shutil.rmtree(plan.folder("second"))

    class Bad(InThisProcess):
        def submit(self, job: Any) -> None:
            super().submit(job)
            if job.stage.name == "first":
                in_place(job.final / DEEP, flipped, same_time=True)

    in_place(plan.folder("first") / DEEP, flipped, same_time=True)
    with pytest.raises(DamagedStageError, match=r"first-[0-9a-f]{12}: a file of this stage.*; the next `adapt`"):
        execute(plan, Bad(1, {}), show=False)
    assert {one.name for one in plan.undone()} == {"first", "second"}


def test_what_is_damaged_elsewhere_is_not_taken_over(plan: Plan, tmp_path: Path) -> None:
    in_place(plan.folder("first") / DEEP, flipped, same_time=True)
    first = files_stage("first")
    other = Plan(tmp_path / "other", [first, files_stage("second", first)], siblings=[plan.run])
    execute(other, InThisProcess(1, {}), show=False)
    assert not (other.folder("first") / DEEP).samefile(plan.folder("first") / DEEP)
    assert (other.folder("second") / DEEP).samefile(plan.folder("second") / DEEP)
    assert verify(other.run, progress=False).damaged == {}


def test_stages_of_earlier_versions_count_as_done(plan: Plan) -> None:
    for stage in plan:
        record = json.dumps({"name": stage.name, "seconds": 1.5}) + "\n"
        (plan.folder(stage.name) / DONE_FILE).write_text(record)
    set_aside_damaged(plan)
    assert plan.undone() == []
    assert plan.seconds("first") == 1.5
    found = verify(plan.run, progress=False)
    assert (found.stages, found.unrecorded, found.damaged) == (2, 2, {})


def test_a_copied_run_stays_whole(plan: Plan, tmp_path: Path) -> None:
    """Times are other ones, contents are not."""
    shutil.copytree(plan.run, tmp_path / "copy", copy_function=shutil.copyfile)
    copy = plan_of_files(tmp_path / "copy")
    assert damaged_stages(copy) == {}
    assert copy.undone() == []


def test_verify_finds_what_nobody_reads(plan: Plan) -> None:
    """And the next `adapt` makes it anew, though size and time say nothing."""
    before = files_of(plan)
    in_place(plan.folder("second") / CLIP_FILE, flipped, same_time=True)
    name = plan.folder("second").name
    assert damaged_stages(plan) == {}
    fails(run_in_a_process("verify", plan.run, "--quiet"), "not everything here is what was written", "1 damaged")
    assert [one.name for one in plan.undone()] == ["second"]
    assert list(verify(plan.run, progress=False).damaged) == [f"stages/{name}"]
    execute(plan, InThisProcess(1, {}), show=False)
    assert files_of(plan) == before
    said = run_in_a_process("verify", plan.run, "--quiet")
    assert said.returncode == 0
    assert "everything is what was written" in said.stdout
    assert "2 stages; 0.2 MB read" in said.stdout


def test_verify_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run: there is no finished stage"):
        verify(tmp_path, progress=False)


def test_results_that_were_edited_are_not_those_of_the_plan(plan: Plan) -> None:
    (plan.run / "results.json").write_text("{}")
    (plan.run / "hypotheses").mkdir()
    (plan.run / "hypotheses" / "a.jsonl").write_text("{}\n")
    files = ["results.json", "hypotheses/a.jsonl"]
    write_key(plan, files)
    assert is_measured(plan)
    for file in files:
        in_place(plan.run / file, lambda content: content + b" ")
        assert not is_measured(plan)
        in_place(plan.run / file, lambda content: content[:-1])
        assert is_measured(plan)
    (plan.run / "plan.sha256").write_text(plan.digest())  # as earlier versions wrote it
    assert is_measured(plan)
    in_place(plan.folder("first") / "score.json", edited_score)
    set_aside_damaged(plan, show=False)
    assert not is_measured(plan)


@pytest.mark.slow
def test_a_real_run(tmp_path: Path, small_whisper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flipped bit in a model, an edited score, edited hypotheses, a clip of zeros: the table stays what it was."""
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    job = make_job(tmp_path, small_whisper)
    make_source(tmp_path / "labelled", 6, seed=1)
    job["target"]["test"] = str(tmp_path / "labelled")
    job |= {"source": str(tmp_path / "recordings"), "systems": ["zero_shot", "target_synthetic", "analogy"]}
    job["target"]["texts"] = str(tmp_path / "menu.txt")
    quick = [
        "training={epochs: 1, precision: fp32}",
        "synthesis={source: &spoken {engines: [hibari], gates: null, voices_per_text: 1}, target: *spoken}",
        "scales=[1]",
        "widen=null",
        "other_decoders=null",
    ]
    run = tmp_path / "run"

    def again() -> Results:
        with stages_in_this_process():
            return adapt(job, run, overrides=quick, workers=1, command="one").results

    first = again()
    folders = {path.name.rpartition("-")[0]: path for path in (run / "stages").iterdir()}
    clip = next(path for path in sorted(folders["synthesise-target"].rglob("*")) if path.suffix == ".flac")
    model = folders["finetune-source_real"] / "model" / "model.safetensors"
    evaluated = folders["evaluate-target_synthetic"]
    before = {path: path.read_bytes() for path in (clip, model)}
    in_place(model, flipped)
    in_place(clip, zeroed)
    score = json.loads((evaluated / "score.json").read_text())
    better = json.dumps({**score, "system": {**score["system"], "wer": 1}}).encode()
    in_place(evaluated / "score.json", lambda _: better)
    other = folders["evaluate-zero_shot"] / "hypotheses.jsonl"
    rows = read_hypotheses(other)
    right = {"substitutions": 0, "deletions": 0, "insertions": 0}
    write_hypotheses([row.model_copy(update=right) for row in rows], other)
    capsys.readouterr()
    second = again()
    said = [line for line in capsys.readouterr().err.splitlines() if "it is made anew" in line]
    assert sorted(line.partition(":")[0] for line in said) == [
        "evaluate-target_synthetic",
        "evaluate-zero_shot",
        "finetune-source_real",
        "synthesise-target",
    ]
    assert {path: path.read_bytes() for path in (clip, model)} == before
    assert [(one.name, one.wer, one.ci95) for one in second.systems] == [
        (one.name, one.wer, one.ci95) for one in first.systems
    ]
    found = verify(run, progress=False)
    assert found.damaged == {}
    assert found.scores >= 6
    bare = {"name": "evaluate-zero_shot", "seconds": 1}  # without digests the score is still counted again
    (other.parent / DONE_FILE).write_text(json.dumps(bare))
    write_hypotheses([row.model_copy(update={"hypothesis": "nothing"}) for row in rows], other)
    assert "does not follow" in verify(run, progress=False).damaged[f"stages/{other.parent.name}"]
