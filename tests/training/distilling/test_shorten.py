"""Shortening: the student's states in trimmed windows approach the teacher's in full ones, from audio alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from lhotse import CutSet
from pydantic import ValidationError
from safetensors.torch import load_file

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.read import write_cuts
from speech_analogy.errors import CheckpointError
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, TrimmedWindow
from speech_analogy.training.distilling.lessons import lesson_loss, teach
from speech_analogy.training.distilling.options import ShortenOptions
from speech_analogy.training.distilling.shorten import shorten
from tests.cli.running import fails
from tests.cli.running import run_in_a_process as run
from tests.conftest import make_corpus
from tests.training.distilling.audio import untexted

OPTIONS = ShortenOptions(learning_rate=3e-4, epochs=3, batch_size=4, save_every_s=0, precision="fp32")


@pytest.fixture(scope="module")
def audio(noises: CutSet) -> CutSet:
    return untexted(noises)


@pytest.fixture(scope="module")
def undisturbed(audio: CutSet, small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = {path.name: path.read_bytes() for path in small_whisper.iterdir()}
    done = shorten(small_whisper, audio, tmp_path_factory.mktemp("short") / "model", OPTIONS, progress=False)
    assert {path.name: path.read_bytes() for path in small_whisper.iterdir()} == before
    assert (done.steps, done.utterances) == (6, 8)
    return done.folder


def test_loss_falls_without_labels(undisturbed: Path) -> None:
    rows = [json.loads(line) for line in (undisturbed / "training" / "log.jsonl").read_text().splitlines()]
    by_epoch = [sum(row["loss"] for row in rows if row["epoch"] == epoch) for epoch in (1, 2, 3)]
    assert [row["step"] for row in rows] == list(range(1, 7))
    assert by_epoch[2] < 0.8 * by_epoch[0]


def test_folder_is_complete_and_says_how_it_was_made(undisturbed: Path, small_whisper: Path) -> None:
    assert native_window(undisturbed) == "trimmed"
    record = json.loads((undisturbed / "provenance.json").read_text())
    assert (record["base"], record["window"], record["shortened"]["utterances"]) == ("small.en", "trimmed", 8)
    assert record["hyper_parameters"]["states"] == "all"
    before, after = (load_file(folder / "model.safetensors") for folder in (small_whisper, undisturbed))
    assert before.keys() == after.keys()
    assert torch.equal(before["model.encoder.embed_positions.weight"], after["model.encoder.embed_positions.weight"])
    assert not torch.equal(before["model.encoder.conv1.weight"], after["model.encoder.conv1.weight"])
    assert {path.name for path in small_whisper.iterdir()} <= {path.name for path in undisturbed.iterdir()}
    assert [path.name for path in undisturbed.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("states", ["last", "all"])
def test_the_teacher_agrees_with_itself(
    audio: CutSet, small_whisper: Path, tmp_path: Path, states: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In full windows the loss of the untouched model is that of rounding, also in padded batches."""
    teacher = load_recogniser(small_whisper)
    decode, texts = teacher.decode, ["", "one", "one two three four", "five six"]  # random weights write nothing
    monkeypatch.setattr(teacher, "decode", lambda *given: texts if len(decode(*given)) == len(texts) else [])
    batch = list(audio)[:4]
    lessons = teach(CutSet.from_cuts(batch), teacher, tmp_path / "lessons", states, False)
    lesson = lessons.read([cut.id for cut in batch])
    assert lesson.states.shape == (4, 1 if states == "last" else 2, lesson.inputs.shape[1], 64)
    words = [0, 1, 4, 2]  # each is one token
    assert lesson.written.sum(1).tolist() == [len(teacher.prompt) + count for count in words]
    assert lesson.inputs[2].tolist() == teacher.labels([texts[2]])[0][0].tolist()
    waves = [load_audio(cut, SAMPLING_RATE_HZ) for cut in batch]
    with torch.inference_mode():
        full = lesson_loss(teacher, teacher.features(waves, 30.0), lesson, states)
        trimmed = lesson_loss(teacher, teacher.features(waves, 3.0), lesson, states)
    assert full < 1e-9
    assert trimmed > 1e-4


def test_what_the_teacher_wrote_is_not_done_again(audio: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    teacher = load_recogniser(small_whisper)
    teach(CutSet.from_cuts(list(audio)[:3]), teacher, tmp_path, "last", False)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    teach(CutSet.from_cuts(list(audio)[:5]), teacher, tmp_path, "last", False)
    assert all(path.stat().st_mtime_ns == then for path, then in times.items())
    assert len(list(tmp_path.iterdir())) == 5


def _shorten(cuts: Path, model: Path, out: Path) -> None:
    shorten(model, cuts, out, OPTIONS, progress=False)


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bits(
    audio: CutSet, small_whisper: Path, undisturbed: Path, tmp_path: Path
) -> None:
    cuts, out = tmp_path / "cuts.jsonl.gz", tmp_path / "model"
    write_cuts(audio, cuts)
    process = multiprocessing.get_context("spawn").Process(target=_shorten, args=(cuts, small_whisper, out))
    process.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".model.shortening/step-0000000[2-9]")) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists(), "it was finished before it could be killed"
    _shorten(cuts, small_whisper, out)
    expected = load_file(undisturbed / "model.safetensors")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_file(out / "model.safetensors").items())
    logs = [(folder / "training" / "log.jsonl").read_text() for folder in (out, undisturbed)]
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_the_command_takes_a_folder_of_audio(small_whisper: Path, tmp_path: Path) -> None:
    """The folder's texts are not needed; the same command again is a user's mistake, in one line."""
    corpus = make_corpus(tmp_path / "corpus", 3)
    (corpus / "metadata.csv").unlink()
    arguments = ("shorten", small_whisper, "--audio", corpus, "--out", tmp_path / "model", "--epochs", "1", "-q")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "1 steps, 3 utterances" in done.stdout
    assert native_window(tmp_path / "model") == "trimmed"
    fails(run(*arguments), "must not exist", "model")


def test_existing_folder_is_not_overwritten(audio: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must not exist"):
        shorten(small_whisper, audio, tmp_path, OPTIONS, progress=False)


def test_the_student_has_trimmed_windows() -> None:
    with pytest.raises(ValidationError, match="full window is the teacher's"):
        ShortenOptions(window="full")
    assert ShortenOptions(window=TrimmedWindow()).window == "trimmed"
