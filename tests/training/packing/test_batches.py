"""Batches of 30 s windows: their share, their parts, and fine-tunings with them that resume to the same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file

from speech_analogy.errors import ConfigError
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.training import finetune as finetune_module
from speech_analogy.training.features import FeatureStore
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import Form, PlannedBatch, make_planned, plan_batches
from tests.small_conformer import make_conformer

OPTIONS = FinetuneOptions(
    learning_rate=1e-3, epochs=2, batch_size=6, save_every_s=0, precision="fp32", packed=0.5, padded=0.25
)


@pytest.fixture
def recogniser(small_whisper: Path) -> WhisperRecogniser:
    return WhisperRecogniser(small_whisper)


def _forms(batches: int, epoch: int = 0, **options: Any) -> list[Form]:
    rows: list[list[Any]] = [[number] for number in range(batches)]
    planned = plan_batches(rows, FinetuneOptions(**options), epoch)
    assert [one.cuts for one in planned] == rows
    return [one.form for one in planned]


def test_without_them_every_batch_is_in_its_own_window() -> None:
    assert set(_forms(50)) == {"own"}


def test_shares_are_kept_over_epochs_and_places_change() -> None:
    forms = [_forms(10, epoch, packed=0.25, padded=0.05) for epoch in range(400)]
    assert {row.count("packed") for row in forms} == {2, 3}
    assert sum(row.count("packed") for row in forms) / 4000 == pytest.approx(0.25, abs=0.01)
    assert sum(row.count("padded") for row in forms) / 4000 == pytest.approx(0.05, abs=0.01)
    assert forms[0] != forms[1]
    assert _forms(10, 3, packed=0.25, padded=0.05) == forms[3]


@pytest.mark.parametrize(("packed", "padded"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_all_batches_can_be_such(packed: float, padded: float) -> None:
    assert all("own" not in _forms(7, epoch, packed=packed, padded=padded) for epoch in range(20))


def test_shares_over_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"packed and padded are shares.*0\.7 \+ 0\.4 is over 1"):
        FinetuneOptions.parse({"packed": 0.7, "padded": 0.4})


def test_hashes_of_earlier_options_stay() -> None:
    assert {"packed", "padded"}.isdisjoint(FinetuneOptions().model_dump())
    assert FinetuneOptions(packed=0.1).model_dump()["packed"] == 0.1


@pytest.mark.parametrize("form", ["packed", "padded"])
def test_processes_share_the_windows(noises: CutSet, recogniser: WhisperRecogniser, form: Form) -> None:
    """Their windows and shares are the whole batch's; one that is left without any has a share of nothing."""
    store, planned = FeatureStore(recogniser, "trimmed"), PlannedBatch(list(noises), form, "seed")
    whole = make_planned(planned, recogniser, "trimmed", store)
    parts = [make_planned(planned, recogniser, "trimmed", store, rank, 2) for rank in range(2)]
    assert whole.features.shape[-1] == 3000
    assert sum(part.rows for part in parts if part.share) == whole.rows
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    weighed = sum((recogniser.loss(p.features, p.inputs, p.targets) * p.share for p in parts), torch.zeros(()))
    expected = recogniser.loss(whole.features, whole.inputs, whole.targets)
    assert weighed.item() == pytest.approx(expected.item(), rel=1e-5)


def test_micro_batches_hold_as_many_windows_as_they_may(noises: CutSet, recogniser: WhisperRecogniser) -> None:
    planned = PlannedBatch(list(noises)[:5], "padded", "seed")
    batch = make_planned(planned, recogniser, "trimmed", FeatureStore(recogniser, "trimmed"))
    assert [part.rows for part, _ in batch.parts(40.0)] == [1] * 5
    assert [part.rows for part, _ in batch.parts(60.0)] == [1, 2, 2]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


class KilledError(Exception):
    """The process ends here."""


def test_it_learns_and_resumes_to_the_same_bits(
    noises: CutSet, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune(noises, small_whisper, tmp_path / "whole", OPTIONS, progress=False).folder
    rows = [json.loads(line) for line in (whole / "training" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.2

    save, saved = finetune_module.save_state, []

    def save_and_die(*given: Any) -> None:
        save(*given)
        saved.append(given[1])
        if len(saved) == 3:
            raise KilledError

    monkeypatch.setattr(finetune_module, "save_state", save_and_die)
    with pytest.raises(KilledError):
        finetune(noises, small_whisper, tmp_path / "again", OPTIONS, progress=False)
    again = finetune(noises, small_whisper, tmp_path / "again", OPTIONS, progress=False).folder
    assert saved[:4] == [1, 2, 3, 4]
    expected = _weights(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in _weights(again).items())


def test_other_shares_are_another_training(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    few = noises.subset(first=6)
    folders = [
        finetune(few, small_whisper, tmp_path / name, OPTIONS.model_copy(update=update), progress=False).folder
        for name, update in (("own", {"packed": 0.0, "padded": 0.0}), ("packed", {"packed": 1.0, "padded": 0.0}))
    ]
    own, packed = map(_weights, folders)
    assert not all(torch.equal(tensor, packed[name]) for name, tensor in own.items())
    assert json.loads((folders[1] / "provenance.json").read_text())["hyper_parameters"]["packed"] == 1.0


@pytest.mark.parametrize("name", ["packed", "padded"])
def test_a_family_that_writes_no_time_stamps_says_so_before_any_work(noises: CutSet, tmp_path: Path, name: str) -> None:
    base = make_conformer(tmp_path / "conformer")
    options = FinetuneOptions.parse({name: 0.25})
    with pytest.raises(ConfigError, match=rf"training\.{name}: .*Conformer model writes no time stamps.*set it to 0"):
        finetune(noises, base, tmp_path / "model", options, progress=False)
    assert list(tmp_path.iterdir()) == [base]
