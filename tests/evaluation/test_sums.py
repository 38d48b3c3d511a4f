"""Sums of models in memory: the analogy's weights, one model as it is, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lhotse import CutSet

from speech_analogy.errors import CheckpointError
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.evaluation.sums import SumSweep, evaluate_sums
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.adaptation.building import moved

TRIMMED = DecodingOptions(window="trimmed")


@pytest.fixture(scope="module")
def models(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sums")
    return {name: moved(small_whisper, folder / name, seed) for seed, name in enumerate("cba")}


def sweep_of(models: dict[str, Path]) -> SumSweep:
    opened = {name: open_checkpoint(path) for name, path in models.items()}
    return SumSweep(WhisperRecogniser(models["c"]), opened)


def test_weights_of_the_analogy(models: dict[str, Path], tmp_path: Path) -> None:
    merged = WhisperRecogniser(analogy(*models.values(), 0.75, tmp_path / "d")).model.state_dict()
    state = sweep_of(models).move({"c": 1.0, "b": 0.75, "a": -0.75}).model.state_dict()
    for name, tensor in merged.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-6)


def test_one_model_as_it_is_bit_for_bit_whatever_was_there_before(models: dict[str, Path]) -> None:
    sweep = sweep_of(models)
    sweep.move({"c": 0.3, "b": 0.7})
    state = sweep.move({"b": 1.0}).model.state_dict()
    for name, tensor in WhisperRecogniser(models["b"]).model.state_dict().items():
        assert torch.equal(state[name], tensor), name


def test_scores_are_those_of_single_models(models: dict[str, Path], noises: CutSet) -> None:
    found = evaluate_sums(
        noises,
        models,
        [("c", None, {"c": 1.0}), ("half", 0.5, {"c": 0.5, "b": 0.5}), ("b", None, {"b": 1.0})],
        decoding=TRIMMED,
        progress=False,
    )
    assert [(one.system.name, one.system.scale) for one in found] == [("c", None), ("half", 0.5), ("b", None)]
    for one, name in ((found[0], "c"), (found[2], "b")):
        alone = evaluate(noises, models[name], decoding=TRIMMED, progress=False)
        assert [row.hypothesis for row in one.hypotheses] == [row.hypothesis for row in alone.hypotheses]


def test_a_model_that_is_not_held_is_named(models: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"no such model is in the sum .*mixed"):
        sweep_of(models).move({"mixed": 1.0})
