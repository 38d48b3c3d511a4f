"""Fine-tuning on what is read shard by shard: steps are counted before, and a start goes on at the exact sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lhotse import CutSet
from lhotse.utils import fastcopy
from safetensors.torch import load_file

from speech_analogy.corpora.read import read_cuts, write_cuts
from speech_analogy.corpora.streams.stream import Stream
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.training import finetune as loop
from speech_analogy.training.diverging import require_finite_loss
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import PlannedBatch
from speech_analogy.training.speech import opening
from speech_analogy.training.speech.opening import training_speech
from speech_analogy.training.speech.streamed import StreamedBatches
from tests.corpora.shards import write_shards

OPTIONS = FinetuneOptions(learning_rate=1e-3, epochs=2, batch_size=3, save_every_s=0, precision="fp32")
BUFFER = 10
KILLED_AT = 7


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one."""
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def shar(noises: CutSet, tmp_path: Path) -> Path:
    """The 24 noises in five shards."""
    folder = tmp_path / "shar"
    folder.mkdir()
    noises.to_shar(folder, fields={"recording": "flac"}, shard_size=5)
    return folder


def listed(batches: list[PlannedBatch]) -> list[tuple[list[str], str, str]]:
    return [([cut.id for cut in batch.cuts], batch.form, batch.seed) for batch in batches]


@pytest.mark.parametrize(("buffer", "batch_size"), [(60, 7), (200, 16), (1000, 8), (1000, 1)])
def test_steps_are_known_before_and_any_of_them_can_be_gone_on_from(
    tmp_path: Path, buffer: int, batch_size: int
) -> None:
    shar = write_shards(tmp_path / "many", [1.0 + number % 97 / 4 for number in range(430)], 30)
    options = FinetuneOptions(epochs=2, batch_size=batch_size, packed=0.3)
    batches = StreamedBatches(Stream([shar], buffer), options)
    whole = listed(list(batches.from_step(0)))
    assert len(whole) == batches.steps
    parts = whole[: -batches.last], whole[-batches.last :]
    epochs = [[name for names, _, _ in part for name in names] for part in parts]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(read_cuts(shar).ids)
    assert epochs[0] != epochs[1]
    first = batches.steps - batches.last
    assert [batches.epoch_of(step) for step in (0, first - 1, first, batches.steps - 1)] == [1, 1, 2, 2]
    assert max(len(names) for names, _, _ in whole) == batch_size
    for done in (1, first - 1, first, first + 5, batches.steps - 1, batches.steps):
        again = StreamedBatches(Stream([shar], buffer), options)
        assert listed(list(again.from_step(done))) == whole[done:]


def test_to_go_on_one_buffer_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream([write_shards(tmp_path / "many", [1.0] * 400, 20)], 40)
    batches = StreamedBatches(stream, FinetuneOptions(epochs=2, batch_size=8))
    read: list[int] = []
    cuts_of_part = Stream.part_cuts
    monkeypatch.setattr(Stream, "part_cuts", lambda self, part: read.append(part) or cuts_of_part(self, part))
    next(batches.from_step(batches.steps - 3))
    assert len(read) == 2  # parts of 20


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_interrupted_it_ends_with_the_same_bits(
    shar: Path, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = finetune(shar, small_whisper, tmp_path / "whole", OPTIONS, buffer=BUFFER, progress=False)

    def interrupt(loss: float, step: int, rate: float) -> None:
        if step == KILLED_AT:
            raise KeyboardInterrupt
        require_finite_loss(loss, step, rate)

    monkeypatch.setattr(loop, "require_finite_loss", interrupt)
    with pytest.raises(KeyboardInterrupt):
        finetune(shar, small_whisper, tmp_path / "model", OPTIONS, buffer=BUFFER, progress=False)
    steps: list[int] = []
    monkeypatch.setattr(loop, "require_finite_loss", lambda loss, step, rate: steps.append(step))
    again = finetune(shar, small_whisper, tmp_path / "model", OPTIONS, buffer=BUFFER, progress=False)
    assert steps == list(range(KILLED_AT, undisturbed.steps + 1))
    assert again.loss == undisturbed.loss
    expected = weights(undisturbed.folder)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(again.folder).items())
    rows = [json.loads(line) for line in (again.folder / "training" / "log.jsonl").read_text().splitlines()]
    whole = [json.loads(line) for line in (undisturbed.folder / "training" / "log.jsonl").read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(row["step"], row["loss"]) for row in whole]


def test_it_records_what_a_list_in_memory_records(shar: Path, small_whisper: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"epochs": 1})
    found = {}
    for name, buffer in (("streamed", BUFFER), ("listed", "auto")):
        folder = finetune(shar, small_whisper, tmp_path / name, options, buffer=buffer, progress=False).folder
        found[name] = json.loads((folder / "provenance.json").read_text())
    streamed, whole = found["streamed"], found["listed"]
    assert streamed["seen"] == whole["seen"]
    assert streamed["hyper_parameters"] == whole["hyper_parameters"] | {"buffer": BUFFER}
    for said in (streamed, whole):
        assert len(said["tuned_on"].pop("digest")) == 64
    assert streamed["tuned_on"] == whole["tuned_on"]


def test_larger_shards_are_streamed_by_themselves(shar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def buffer(order: str = "duration") -> int | None:
        return training_speech(shar, FinetuneOptions.parse({"order": order}), "auto", progress=False)[1]

    assert buffer() is None
    monkeypatch.setattr(opening, "IN_MEMORY_AT_MOST", 23)
    assert buffer() == 23
    assert buffer("text") is None
    monkeypatch.setattr(opening, "IN_MEMORY_AT_MOST", 24)
    assert buffer() is None


def test_several_sources_are_taken_together(shar: Path, noises: CutSet, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl.gz"
    others = [cut.truncate(duration=0.3).with_id(f"more {cut.id}") for cut in noises]
    write_cuts(CutSet.from_cuts(others), file)
    for buffer in ("auto", 24):
        assert training_speech([shar, file], OPTIONS, buffer, progress=False)[0].utterances == 48  # type: ignore[arg-type]


def test_where_there_can_be_no_buffer(shar: Path, noises: CutSet) -> None:
    with pytest.raises(ConfigError, match="all texts at once"):
        training_speech(shar, FinetuneOptions(order="text"), 5, progress=False)
    with pytest.raises(ConfigError, match="in memory already"):
        training_speech(noises, OPTIONS, 5, progress=False)
    with pytest.raises(ConfigError, match="at least one"):
        training_speech(shar, OPTIONS, 0, progress=False)


def test_a_text_that_cannot_be_written_is_refused_before_the_first_step(
    shar: Path, noises: CutSet, small_whisper: Path, tmp_path: Path
) -> None:
    file = tmp_path / "long.jsonl"
    listed = list(noises)
    listed[3] = listed[3].map_supervisions(lambda supervision: fastcopy(supervision, text="word " * 500))
    write_cuts(CutSet.from_cuts(listed), file)
    with pytest.raises(DataError, match="more than the"):
        finetune(file, small_whisper, tmp_path / "model", OPTIONS, buffer=50, progress=False)
    assert not (tmp_path / "model").exists()
