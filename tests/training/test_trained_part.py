"""What is trained, and what memory it takes: parts of a batch, frozen modules, adapters, activations computed again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet
from safetensors.torch import load_file
from torch._inductor import config
from torch._inductor.cpp_builder import cpp_compiler_search

from speech_analogy.errors import ConfigError
from speech_analogy.merging.vectors.lora import read_lora
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import IGNORED_LABEL
from speech_analogy.training.batching import TrainingBatch, make_batch
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions, LoraOptions
from speech_analogy.training.trained_part import Adapters, checkpoint_activations, freeze

OPTIONS = FinetuneOptions(learning_rate=1e-3, epochs=1, batch_size=8, precision="fp32")
LORA = LoraOptions(rank=4, alpha=8, modules=("q_proj", "v_proj", "fc1"))


def tuned(noises: CutSet, base: Path, out: Path, **changed: object) -> Path:
    return finetune(noises, base, out, OPTIONS.model_copy(update=changed), progress=False).folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "training" / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(noises: CutSet, small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuned(noises, small_whisper, tmp_path_factory.mktemp("whole") / "model")


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.floats(0.1, 100), st.floats(0.5, 30))
def test_the_parts_of_a_batch_are_the_batch(tokens: list[int], seconds: float, window_s: float) -> None:
    targets = torch.full((len(tokens), max(tokens)), IGNORED_LABEL)
    for row, count in enumerate(tokens):
        targets[row, :count] = 1
    features = torch.randn(len(tokens), 2, 3)
    batch = TrainingBatch(features, torch.zeros_like(targets), targets, len(tokens), window_s)
    parts = list(batch.parts(seconds))
    assert torch.equal(torch.cat([part.features for part, _ in parts]), features)
    assert torch.equal(torch.cat([part.targets for part, _ in parts]), targets)
    assert all(part.rows == 1 or part.rows * window_s <= seconds * 1.001 for part, _ in parts)
    assert sum(share for _, share in parts) == pytest.approx(1)
    sizes = [part.rows for part, _ in parts]
    assert max(sizes) - min(sizes) <= 1  # each part has a cost of its own
    assert len(parts) == -(-len(tokens) // max(1, int(seconds / window_s + 1e-6)))
    assert len(list(batch.parts(None))) == 1


def test_gradients_of_parts_add_up_to_those_of_the_batch(noises: CutSet, small_whisper: Path) -> None:
    recogniser = load_recogniser(small_whisper)
    batch = make_batch(list(noises)[:7], recogniser, "trimmed")
    torch.autograd.backward(recogniser.loss(batch.features, batch.inputs, batch.targets))
    expected = {name: p.grad.clone() for name, p in recogniser.model.named_parameters() if p.grad is not None}
    recogniser.model.zero_grad()
    for part, share in batch.parts(2 * batch.window_s):
        torch.autograd.backward(share * recogniser.loss(part.features, part.inputs, part.targets))
    found = {name: p.grad for name, p in recogniser.model.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], atol=1e-6, rtol=1e-3), name


@pytest.mark.parametrize("changed", [{"seconds_at_once": 3.0}, {"checkpointing": True}])
def test_less_memory_changes_nothing_but_rounding(
    noises: CutSet, small_whisper: Path, whole: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    other = tuned(noises, small_whisper, tmp_path / "model", **changed)
    assert losses(other) == pytest.approx(losses(whole), rel=1e-4)


def test_checkpointing_keeps_fewer_activations(noises: CutSet, small_whisper: Path) -> None:
    recogniser = load_recogniser(small_whisper)
    recogniser.model.train()
    batch = make_batch(list(noises)[:7], recogniser, "trimmed")
    kept: list[int] = []
    for on in (False, True, False):
        checkpoint_activations(recogniser.model, on)
        kept.append(0)

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            kept[-1] += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            recogniser.loss(batch.features, batch.inputs, batch.targets)
    assert kept[1] < 0.9 * kept[0]  # the logits alone are most of what so small a model keeps
    assert kept[2] == kept[0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_layers_learn_the_same(
    noises: CutSet, small_whisper: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To rounding, through compiled code, and what is saved has the names of what is not compiled."""
    calls: list[int] = []
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **o: (calls.append(1), compiled(self, **o))[1])
    other = tuned(noises, small_whisper, tmp_path / "model", compile=True)
    assert len(calls) == load_recogniser(small_whisper).model.config.encoder_layers
    assert losses(other) == pytest.approx(losses(whole), rel=1e-3)
    assert weights(other).keys() == weights(whole).keys()


def test_compiling_without_a_compiler_is_one_line(
    noises: CutSet, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    cpp_compiler_search.cache_clear()
    with pytest.raises(ConfigError, match=r"no C\+\+ compiler"):
        tuned(noises, small_whisper, tmp_path / "model", compile=True)
    cpp_compiler_search.cache_clear()


def test_what_is_frozen_does_not_move(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    before = weights(small_whisper)
    after = weights(tuned(noises, small_whisper, tmp_path / "model", freeze=("encoder", "model.decoder.embed_*")))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any("encoder." in name and "encoder_attn" not in name for name in moved)
    assert not any("embed" in name for name in moved)
    assert any("encoder_attn" in name for name in moved)


@pytest.mark.parametrize(
    ("parts", "said"), [(("encodr",), "did you mean 'encoder'"), (("model",), "something must be left to be trained")]
)
def test_mistakes_in_what_is_frozen_are_told(small_whisper: Path, parts: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        freeze(load_recogniser(small_whisper).model, parts)


def test_adapters_train_nothing_else_and_their_folder_is_the_difference(
    noises: CutSet, small_whisper: Path, tmp_path: Path
) -> None:
    """The PEFT folder, read as a vector by the merging core, is what the merged model differs from the base by."""
    folder = tuned(noises, small_whisper, tmp_path / "model", lora=LORA, epochs=2)
    before, after = weights(small_whisper), weights(folder)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.endswith(("q_proj.weight", "v_proj.weight", "fc1.weight")) for name in moved)
    delta = read_lora(folder / "adapter", small_whisper).tensors
    assert moved <= set(delta)
    for name in delta:
        assert torch.allclose(after[name] - before[name], delta[name], atol=1e-6), name
    assert losses(folder)[-1] < losses(folder)[0]


def test_adapters_begin_as_the_model_was_and_hang_on_their_seed(small_whisper: Path, noises: CutSet) -> None:
    plain = load_recogniser(small_whisper)
    batch = make_batch(list(noises)[:3], plain, "trimmed")
    expected = plain.loss(batch.features, batch.inputs, batch.targets)
    found = []
    for seed in (0, 0, 1):
        recogniser = load_recogniser(small_whisper)
        Adapters(recogniser.model, LORA, seed)
        assert torch.equal(recogniser.loss(batch.features, batch.inputs, batch.targets), expected)
        trained = {name: p for name, p in recogniser.model.named_parameters() if p.requires_grad}
        assert all("lora_" in name for name in trained)
        found.append(torch.cat([parameter.detach().flatten() for parameter in trained.values()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_modules_that_are_not_there_are_told(small_whisper: Path) -> None:
    with pytest.raises(ConfigError, match=r"lora\.modules"):
        Adapters(load_recogniser(small_whisper).model, LoraOptions(modules=("query",)), 0)
