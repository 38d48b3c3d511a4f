"""The gap of a finished run: which models it is of, the file, and the card beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from speech_analogy.adaptation.records.mark import DONE_FILE
from speech_analogy.adaptation.runs.gaps import pair_of, write_gap
from speech_analogy.errors import CheckpointError, DataError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.vectors.compress import Compression
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.adaptation.building import loaded

WHOLE = Compression("fp32")


@pytest.fixture
def run(models: dict[str, Path], tmp_path: Path) -> Path:
    """A run with A and B, and fine-tunings of groups beside them."""
    found = fingerprint(open_checkpoint(models["base"]))
    for stage, hashed in (
        ("finetune-source_real", "0123456789ab"),
        ("finetune-source_synthetic", "ba9876543210"),
        ("finetune-source_real-of-food", "0123456789ab"),
    ):
        system = stage.removeprefix("finetune-").removesuffix("-of-food")
        folder = tmp_path / "run/stages" / f"{stage}-{hashed}"
        shutil.copytree(models[system], folder / "model")
        record = {"base": "some/base", "base_fingerprint": found, "language": "en", "tuned_on": {"hours": 0.25}}
        (folder / "model/provenance.json").write_text(json.dumps(record))
        (folder / DONE_FILE).write_text("{}")
    return tmp_path / "run"


def test_the_whole_difference_and_a_card(run: Path, models: dict[str, Path], tmp_path: Path) -> None:
    made = write_gap(
        [pair_of(run)], tmp_path / "gap.safetensors", how=WHOLE, channel="a phone line", licence="CC-BY-4.0"
    )
    vector = TaskVector.load(made.file)
    real, synthetic = loaded(models, "source_real"), loaded(models, "source_synthetic")
    for name in real:
        torch.testing.assert_close(vector.tensors[name], real[name] - synthetic[name], atol=0, rtol=0)
    card = made.card.read_text(encoding="utf-8")
    assert made.card == tmp_path / "gap.md"
    assert "# Gap vector" in card
    assert "--vector" in card
    for said in ("some/base", vector.base.fingerprint, "license: CC-BY-4.0", "a phone line", "hours 0.25", "language"):
        assert said in card, said


def test_several_runs_make_their_mean(run: Path, tmp_path: Path) -> None:
    pair = pair_of(run)
    one = write_gap([pair], tmp_path / "one.safetensors", how=WHOLE)
    mean = write_gap([pair, (pair[1], pair[0])], tmp_path / "mean.safetensors", how=WHOLE)
    assert TaskVector.load(one.file).norm() > 0
    assert TaskVector.load(mean.file).norm() == pytest.approx(0, abs=1e-6)
    small = write_gap([pair], tmp_path / "small.safetensors")
    assert small.file.stat().st_size < one.file.stat().st_size / 5
    assert TaskVector.load(small.file).provenance.compression["method"] == "low-rank"


def test_nothing_is_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "gap.md").write_text("mine")
    with pytest.raises(DataError, match=r"gap\.md"):
        write_gap([pair_of(run)], tmp_path / "gap.safetensors")
    assert not (tmp_path / "gap.safetensors").exists()
    (tmp_path / "other.safetensors").write_text("mine")
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        write_gap([pair_of(run)], tmp_path / "other.safetensors")
    assert not (tmp_path / "other.md").exists()


def test_models_that_are_missing_or_several(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no finished model.*--real"):
        pair_of(tmp_path)
    again = run / "stages/finetune-source_real-aaaaaaaaaaaa"
    shutil.copytree(run / "stages/finetune-source_real-0123456789ab", again)
    with pytest.raises(DataError, match=r"several.*aaaaaaaaaaaa.*--real"):
        pair_of(run)
    (again / DONE_FILE).unlink()
    assert pair_of(run)[0].parent.name == "finetune-source_real-0123456789ab"
