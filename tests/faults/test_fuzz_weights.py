"""Weights and their settings spoilt at random: every reader gives a value or one line, in time and without memory.

pytest -m 'fuzz or slow' --hypothesis-profile nightly tests/faults/test_fuzz_weights.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from safetensors.torch import save_file

from speech_analogy.foundation.model_files import require_modest_config
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.vectors.compress import Compression, compress
from speech_analogy.merging.vectors.lora import read_lora
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.whisper.openai_format import read_openai
from tests.faults.bounded import MOST_S, read_in_bounds
from tests.faults.spoilt import CHANGES, EDITS, Edit, cases, spoilt_bytes, spoilt_json, written

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]

Changes = list[tuple[int, Any]]
STATE = {"a.weight": torch.ones(5, 3), "b.bias": torch.arange(4.0), "c": torch.zeros(2, dtype=torch.float16)}
MODULE = "model.layers.0.fc1"
CONFIG = {
    "peft_type": "LORA", "r": 2, "lora_alpha": 4, "rank_pattern": {"fc2": 3}, "alpha_pattern": {"fc1": 5, "x": 1},
    "use_rslora": False, "fan_in_fan_out": False, "target_modules": ["fc1"], "bias": "none", "init_lora_weights": True,
    "base_model_name_or_path": "base", "modules_to_save": None, "layers_to_transform": None, "use_dora": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_file(STATE, folder / "whole.safetensors")
    torch.save({"model_state_dict": STATE}, folder / "whole.pt")
    torch.save(STATE, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    near = {name: tensor + 1 for name, tensor in STATE.items()}
    vector = TaskVector.between(STATE, near)
    vector.save(folder / "vector.safetensors")
    compress(vector, folder / "coded.safetensors", Compression("topk", 0.5, "int4"))
    (folder / "lora").mkdir()
    factors = {f"base_model.model.{MODULE}.lora_{side}.weight": torch.ones(2, 2) for side in "AB"}
    save_file(factors, folder / "lora" / "adapter_model.safetensors")
    (folder / "lora" / "adapter_config.json").write_text(json.dumps(CONFIG))
    read_lora(folder / "lora")
    return folder


def sums(path: Path) -> float:
    return sum(float(tensor.double().sum()) for _, tensor in open_checkpoint(path).items())


def spoilt(place: Path, name: str, edits: list[Edit], head: int) -> Path:
    return written(place / f"spoilt-{name}", spoilt_bytes((place / name).read_bytes(), edits, head))


@cases()
@given(edits=EDITS)
def test_safetensors(place: Path, edits: list[Edit]) -> None:
    assert read_in_bounds(sums, spoilt(place, "whole.safetensors", edits, 260)).seconds < MOST_S


@cases()
@given(edits=EDITS)
def test_zipped_pickles(place: Path, edits: list[Edit]) -> None:
    file = spoilt(place, "whole.pt", edits, 700)
    assert read_in_bounds(sums, file).seconds < MOST_S
    assert read_in_bounds(read_openai, file).seconds < MOST_S


@cases()
@given(edits=EDITS)
def test_legacy_pickles(place: Path, edits: list[Edit]) -> None:
    assert read_in_bounds(sums, spoilt(place, "legacy.pt", edits, 700)).seconds < MOST_S


@cases()
@given(edits=EDITS)
def test_vectors(place: Path, edits: list[Edit]) -> None:
    for name in ("vector.safetensors", "coded.safetensors"):
        file = spoilt(place, name, edits, 700)
        assert read_in_bounds(lambda path: TaskVector.load(path, verify=False).norm(), file).seconds < MOST_S


@cases()
@given(changes=CHANGES)
def test_adapter_configs(place: Path, changes: Changes) -> None:
    folder = place / "lora-config"
    if not folder.exists():
        shutil.copytree(place / "lora", folder)
    written(folder / "adapter_config.json", spoilt_json(CONFIG, changes))
    assert read_in_bounds(lambda path: read_lora(path).norm(), folder).seconds < MOST_S


@cases()
@given(edits=EDITS)
def test_adapter_weights(place: Path, edits: list[Edit]) -> None:
    folder = place / "lora-weights"
    if not folder.exists():
        shutil.copytree(place / "lora", folder)
    whole = (place / "lora" / "adapter_model.safetensors").read_bytes()
    written(folder / "adapter_model.safetensors", spoilt_bytes(whole, edits))
    assert read_in_bounds(lambda path: read_lora(path).norm(), folder).seconds < MOST_S


@pytest.fixture(scope="module")
def model(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(small_whisper, tmp_path_factory.mktemp("model") / "spoilt"))
    load_recogniser(folder)  # what is imported on the way is not the case's
    return folder


@cases()
@given(changes=CHANGES)
def test_sizes_in_configs(small_whisper: Path, model: Path, changes: Changes) -> None:
    config = json.loads((small_whisper / "config.json").read_text())
    written(model / "config.json", spoilt_json(config, changes))
    try:
        assert read_in_bounds(lambda path: require_modest_config(path, 100), model).seconds < MOST_S
    finally:
        shutil.copy(small_whisper / "config.json", model / "config.json")


@pytest.mark.parametrize(
    "name",
    ["config.json", "generation_config.json", "tokenizer_config.json", "preprocessor_config.json", "tokenizer.json"],
)
@cases(40)
@given(changes=CHANGES)
def test_models_whose_settings_are_spoilt(small_whisper: Path, model: Path, name: str, changes: Changes) -> None:
    """A file of tens of thousands of values is drawn from its head, where its settings are."""
    content = json.loads((small_whisper / name).read_text())
    if name == "tokenizer.json":
        content["model"]["vocab"] = dict(list(content["model"]["vocab"].items())[:50])
        content["model"]["merges"] = content["model"]["merges"][:50]
    written(model / name, spoilt_json(content, changes))
    try:
        assert read_in_bounds(load_recogniser, model).seconds < MOST_S
    finally:
        shutil.copy(small_whisper / name, model / name)
