"""Widening: in 30 s windows the student has the states that the model has in its own, and keeps those."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import text_of
from speech_analogy.corpora.read import write_cuts
from speech_analogy.errors import CheckpointError
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import SequenceRecogniser
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ
from speech_analogy.training.distilling.lessons import Lessons, lesson_loss, teach
from speech_analogy.training.distilling.options import WidenOptions
from speech_analogy.training.distilling.steps import Alone, Direction, Joined, Step, plan_steps
from speech_analogy.training.distilling.widen import widen
from tests.cli.running import fails
from tests.cli.running import run_in_a_process as run
from tests.conftest import make_corpus
from tests.training.distilling.audio import untexted

OPTIONS = WidenOptions(learning_rate=3e-4, epochs=4, batch_size=2, alone=1.0, save_every_s=0, precision="fp32")


@pytest.fixture(scope="module")
def audio(noises: CutSet) -> CutSet:
    return untexted(noises)


@pytest.fixture(scope="module")
def tuned(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is recorded as tuned in trimmed windows."""
    folder = tmp_path_factory.mktemp("tuned") / "model"
    shutil.copytree(small_whisper, folder)
    record = {"base": "small.en", "base_fingerprint": "sha256:0", "window": "trimmed", "tuned_on": {"utterances": 5}}
    (folder / "provenance.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def undisturbed(audio: CutSet, tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = widen(tuned, audio, tmp_path_factory.mktemp("wide") / "model", OPTIONS, progress=False)
    assert (done.steps, done.utterances) == (16, 8)
    return done.folder


def _distances(model: Path, teacher: Path, audio: CutSet, folder: Path) -> tuple[float, float]:
    """From the teacher's states in its own window: the model's in 30 s windows, and in its own."""
    batch = list(audio)[:4]
    lessons = teach(CutSet.from_cuts(batch), load_recogniser(teacher), folder, "all", False, "trimmed")
    lesson = lessons.read([cut.id for cut in batch])
    student, waves = load_recogniser(model), [load_audio(cut, SAMPLING_RATE_HZ) for cut in batch]
    with torch.inference_mode():
        full, own = (float(lesson_loss(student, student.features(waves, s), lesson, "all")) for s in (30.0, 2.0))
    return full, own


def test_thirty_seconds_become_like_the_models_own_window(
    audio: CutSet, tuned: Path, undisturbed: Path, tmp_path: Path
) -> None:
    before, same = _distances(tuned, tuned, audio, tmp_path / "before")
    after, kept = _distances(undisturbed, tuned, audio, tmp_path / "after")
    assert after < 0.7 * before
    assert same < kept < before


def test_the_models_own_record_stays(tuned: Path, undisturbed: Path) -> None:
    assert native_window(undisturbed) == "trimmed"
    before, after = (json.loads((folder / "provenance.json").read_text()) for folder in (tuned, undisturbed))
    assert {name: after[name] for name in before} == before
    assert after["widened"]["utterances"] == 8
    assert after["widened"]["hyper_parameters"]["trimmed_share"] == 0.25


def test_a_share_of_the_batches_stays_in_the_models_own_window(
    audio: CutSet, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def loss(student: object, features: torch.Tensor, *given: object) -> torch.Tensor:
        shown.append(features.shape[-1])
        return lesson_loss(student, features, *given)  # type: ignore[arg-type]

    monkeypatch.setattr("speech_analogy.training.distilling.steps.lesson_loss", loss)
    widen(tuned, audio, tmp_path / "model", OPTIONS, progress=False)
    by_epoch = [[frames == 3000 for frames in shown[at : at + 4]] for at in range(0, 16, 4)]
    assert [sum(epoch) for epoch in by_epoch] == [3, 3, 3, 3]
    assert len({tuple(epoch) for epoch in by_epoch}) > 1


@pytest.fixture
def lessons(audio: CutSet, tmp_path: Path) -> Lessons:
    """Of which one has no text and one that loops."""
    made = Lessons(tmp_path / "lessons")
    for number, cut in enumerate(audio):
        text = {0: "  ", 1: "no more " * 12}.get(number, f"number {number}")
        made.write(cut.id, text, torch.zeros(3, dtype=torch.int64), torch.zeros(1, 3, 4))
    return made


def _planned(audio: CutSet, tuned: Path, lessons: Lessons, **more: Any) -> list[Step]:
    direction = Direction("widening", "trimmed", lambda batches, epoch: ["full"] * batches, dict, **more)
    return plan_steps(audio, cast("SequenceRecogniser", load_recogniser(tuned)), lessons, OPTIONS, direction)


def test_utterances_are_joined_with_the_teachers_texts(audio: CutSet, tuned: Path, lessons: Lessons) -> None:
    plan = _planned(audio, tuned, lessons, joined=3)
    spoken = [cut.id for cut in audio][2:]
    orders, timed = set(), set()
    for epoch in range(OPTIONS.epochs):
        joined = [step for step in plan if isinstance(step, Joined) and step.epoch == epoch]
        windows = [window for step in joined for window in step.windows]
        placed = [one.cut for window in windows for one in window.placed if one.whole]
        assert sorted(cut.id for cut in placed) == sorted(3 * spoken)
        assert all(text_of(cut) == lessons.text(cut.id) for cut in placed)
        orders.add(tuple(cut.id for cut in placed))
        timed |= {window.timed for window in windows}
    assert len(orders) == OPTIONS.epochs
    assert timed == {True, False}
    assert [step.epoch for step in plan] == sorted(step.epoch for step in plan)
    assert _planned(audio, tuned, lessons, joined=3) == plan


def test_a_share_is_shown_alone(audio: CutSet, tuned: Path, lessons: Lessons) -> None:
    for share, count in ((1.0, len(audio)), (0.5, len(audio) // 2), (0.01, 1)):
        plan = [step for step in _planned(audio, tuned, lessons, alone=share) if isinstance(step, Alone)]
        shown = [sorted(cut.id for step in plan if step.epoch == epoch for cut in step.cuts) for epoch in (0, 1)]
        assert len(set(shown[0])) == len(shown[0]) == count
        assert shown[0] == shown[1]


def test_joined_and_alone_by_turns(audio: CutSet, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of what is joined leaves the embedding's gradient to the other loss as that needs it."""
    monkeypatch.setattr(Lessons, "text", lambda self, utterance: "and so on")
    options = OPTIONS.model_copy(update={"epochs": 2, "alone": 0.5})
    done = widen(tuned, audio, tmp_path / "model", options, progress=False)
    assert done.steps > 2 * 2
    record = json.loads((done.folder / "provenance.json").read_text())["widened"]["hyper_parameters"]
    assert (record["alone"], record["joined"]) == (0.5, 2)


def test_a_model_of_thirty_seconds_has_nothing_to_learn(audio: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tuned in trimmed windows"):
        widen(small_whisper, audio, tmp_path / "model", OPTIONS, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_teacher_interrupted_writes_the_same(audio: CutSet, tuned: Path, tmp_path: Path) -> None:
    """A trimmed window is as long as the longest of its batch, whatever of the batch was kept."""
    teacher, ids = load_recogniser(tuned), [cut.id for cut in audio]
    lessons = teach(audio, teacher, tmp_path, "last", False, "trimmed")
    whole = lessons.read(ids)
    lessons.path(ids[3]).unlink()
    assert torch.equal(teach(audio, teacher, tmp_path, "last", False, "trimmed").read(ids).states, whole.states)


def _widen(cuts: Path, model: Path, out: Path) -> None:
    widen(model, cuts, out, OPTIONS, progress=False)


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bits(
    audio: CutSet, tuned: Path, undisturbed: Path, tmp_path: Path
) -> None:
    cuts, out = tmp_path / "cuts.jsonl.gz", tmp_path / "model"
    write_cuts(audio, cuts)
    process = multiprocessing.get_context("spawn").Process(target=_widen, args=(cuts, tuned, out))
    process.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".model.widening/step-0000000[2-9]")) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists(), "it was finished before it could be killed"
    _widen(cuts, tuned, out)
    expected = load_file(undisturbed / "model.safetensors")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_file(out / "model.safetensors").items())


@pytest.mark.slow
def test_the_command_takes_a_folder_of_audio(tuned: Path, small_whisper: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 3)
    (corpus / "metadata.csv").unlink()
    done = run("widen", tuned, "--audio", corpus, "--out", tmp_path / "model", "-q")
    assert done.returncode == 0, done.stderr
    assert "1 steps, 3 utterances" in done.stdout
    fails(run("widen", small_whisper, "--audio", corpus, "--out", tmp_path / "other"), "tuned in trimmed windows")
