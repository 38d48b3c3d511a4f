"""Half a model, another model's config, weights that are no numbers: refused by every verb, with the tensors named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file, save_file
from torch import Tensor

from speech_analogy.errors import CheckpointError, TrainingError
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from tests.small_conformer import make_conformer

State = dict[str, Tensor]


def changed(folder: Path, out: Path, change: Callable[[State], State], **config: object) -> Path:
    """A copy of a model with other weights, or with another config beside them."""
    shutil.copytree(folder, out)
    save_file(change(load_file(folder / "model.safetensors")), out / "model.safetensors", {"format": "pt"})
    content = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**content, **config}))
    return out


def without(name: str) -> Callable[[State], State]:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


def spoiled(value: float) -> Callable[[State], State]:
    def change(state: State) -> State:
        name = next(iter(sorted(state)))
        state[name] = state[name].clone()
        state[name].view(-1)[-1] = value
        return state

    return change


LAYER_NORM = "model.decoder.layer_norm.weight"
CASES: dict[str, tuple[Callable[[State], State], dict[str, object], str]] = {
    "one is missing": (without(LAYER_NORM), {}, f"missing: .*{LAYER_NORM}"),
    "a compiled model's names": (lambda state: {f"_orig_mod.{k}": v for k, v in state.items()}, {}, "missing"),
    "the encoder alone": (
        lambda state: {k: v for k, v in state.items() if "encoder" in k and "encoder_attn" not in k},
        {},
        "missing",
    ),
    "more layers in the config": (dict, {"decoder_layers": 3}, "missing"),
    "fewer layers in the config": (dict, {"encoder_layers": 0}, "not the model's"),
    "NaN": (spoiled(float("nan")), {}, "NaN or infinity"),
    "infinity": (spoiled(float("inf")), {}, "NaN or infinity"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_verb_refuses_it(small_whisper: Path, noises: CutSet, tmp_path: Path, case: str) -> None:
    change, config, said = CASES[case]
    model = changed(small_whisper, tmp_path / "model", change, **config)
    few = CutSet.from_cuts(list(noises)[:2])
    for verb in (
        lambda: load_recogniser(model),
        lambda: transcribe(few, model, progress=False),
        lambda: evaluate(few, model, progress=False),
        lambda: finetune(few, model, tmp_path / "out", progress=False),
    ):
        with pytest.raises(CheckpointError, match=said):
            verb()
    assert not (tmp_path / "out").exists()


def test_a_conformer_too(tmp_path: Path) -> None:
    small_conformer = make_conformer(tmp_path / "small")
    name = sorted(load_file(small_conformer / "model.safetensors"))[-1]
    with pytest.raises(CheckpointError, match="missing"):
        load_recogniser(changed(small_conformer, tmp_path / "half", without(name)))
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        load_recogniser(changed(small_conformer, tmp_path / "nan", spoiled(float("nan"))))


def test_a_training_that_diverges_publishes_nothing(small_whisper: Path, noises: CutSet, tmp_path: Path) -> None:
    few = CutSet.from_cuts(list(noises)[:4])
    options = FinetuneOptions(learning_rate=1e30, epochs=3, batch_size=2, warmup_share=0, precision="fp32")
    with pytest.raises(TrainingError, match=r"diverged.*learning rate"):
        finetune(few, small_whisper, tmp_path / "model", options, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_last_step_that_spoils_the_weights_is_noticed(
    small_whisper: Path, noises: CutSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of a step is that of the weights before it."""
    step = torch.optim.AdamW.step

    def spoil(self: torch.optim.AdamW, closure: None = None) -> None:
        step(self, closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].view(-1)[0] = float("inf")

    monkeypatch.setattr(torch.optim.AdamW, "step", spoil)
    options = FinetuneOptions(epochs=1, batch_size=2, precision="fp32")
    with pytest.raises(TrainingError, match="holds NaN or infinity"):
        finetune(CutSet.from_cuts(list(noises)[:2]), small_whisper, tmp_path / "model", options, progress=False)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("missing", "said"), [("tokenizer", "tokenizer is missing"), ("generation", "no_timestamps")])
def test_a_folder_without_its_companions_names_the_file_and_where_it_is(
    small_whisper: Path, noises: CutSet, tmp_path: Path, missing: str, said: str
) -> None:
    model = changed(small_whisper, tmp_path / "model", dict)
    (model / "provenance.json").write_text(json.dumps({"base": "openai/whisper-tiny.en"}))
    for file in model.iterdir():
        if file.name.startswith((missing, "vocab", "merges") if missing == "tokenizer" else missing):
            file.unlink()
    few = CutSet.from_cuts(list(noises)[:2])
    for verb in (
        lambda: transcribe(few, model, progress=False),
        lambda: finetune(few, model, tmp_path / "out", progress=False),
    ):
        with pytest.raises(CheckpointError, match=rf"{missing}.*{said}.*openai/whisper-tiny\.en"):
            verb()
