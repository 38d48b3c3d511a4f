"""Adapter folders of strangers: what PEFT merges, or one line; no pattern hangs, no factor asks for more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.vectors.lora import combine_adapters, read_lora
from tests.faults.bounded import read_in_bounds

NAN = float("nan")
RANK = 2
MODULE = "model.decoder.layers.0.fc1"
Tensors = dict[str, Tensor]


def factors(module: str = MODULE, rank: int = RANK, out: int = 5, into: int = 4) -> Tensors:
    draw = torch.Generator().manual_seed(0)
    return {
        f"{module}.lora_A.weight": torch.randn(rank, into, generator=draw),
        f"{module}.lora_B.weight": torch.randn(out, rank, generator=draw),
    }


def adapter(folder: Path, tensors: Tensors, config: object) -> Path:
    """A PEFT folder; of a config that is a mapping, the keys that every LoRA has are filled in."""
    folder.mkdir()
    save_file(
        {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}, folder / "adapter_model.safetensors"
    )
    if isinstance(config, dict):
        config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, **config}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


REFUSED: dict[str, Any] = {
    "rank 0": {"r": 0},
    "another rank": {"r": 3},
    "negative rank": {"r": -2},
    "rank as a word": {"r": "2"},
    "no rank": {"r": None},
    "alpha 0": {"lora_alpha": 0},
    "negative alpha": {"lora_alpha": -4},
    "alpha NaN": {"lora_alpha": NAN},
    "alpha infinite": {"lora_alpha": float("inf")},
    "alpha beyond floats": {"lora_alpha": 10**90},
    "alpha true": {"lora_alpha": True},
    "alpha a list": {"lora_alpha": [4]},
    "alpha of a pattern": {"alpha_pattern": {"fc1": 0}},
    "rank of a pattern": {"rank_pattern": {"fc1": 7}},
    "patterns a list": {"rank_pattern": ["fc1"]},
    "a broken pattern": {"alpha_pattern": {"(fc1": 4}},
    "a long pattern": {"alpha_pattern": {"a?" * 10_000: 4}},
    "many patterns": {"alpha_pattern": {f"x{index}": 4 for index in range(20_000)}},
    "DoRA": {"use_dora": True},
    "rsLoRA as a word": {"use_rslora": "false"},
    "transposed as a word": {"fan_in_fan_out": "no"},
    "PiSSA": {"init_lora_weights": "pissa_niter_4"},
    "OLoRA": {"init_lora_weights": "olora"},
    "a start that is a list": {"init_lora_weights": ["pissa"]},
    "LoftQ": {"init_lora_weights": "loftq"},
    "repeated layers": {"layer_replication": [[0, 4], [2, 5]]},
    "bare parameters": {"target_parameters": ["experts"]},
    "another kind": {"peft_type": "IA3"},
    "a list": [1],
    "a number": 3,
    "a deep list": json.loads("[" * 500 + "]" * 500),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_configs(tmp_path: Path, kind: str) -> None:
    outcome = read_in_bounds(read_lora, adapter(tmp_path / "a", factors(), REFUSED[kind]))
    assert outcome.said != "read"
    assert outcome.seconds < 1.0


HANGING = "model.decoder.layers.0." + "a" * 40


@pytest.mark.parametrize(
    "pattern", ["(a+)+x", "(a|aa)+$x", r"(.*)*.*\.(a*)*x", "((a{0,50}){0,50}){0,50}x", "(?:(?:a?){40}){40}x"]
)
@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern", "target_modules"])
def test_patterns_that_would_take_for_ever(tmp_path: Path, pattern: str, key: str) -> None:
    config: dict[str, object] = {key: pattern if key == "target_modules" else {pattern: 2}}
    outcome = read_in_bounds(read_lora, adapter(tmp_path / "a", factors(HANGING), config))
    assert outcome.seconds < 1.0
    assert outcome.said == "read" or "within 0.2 s" in outcome.said


def changed(change: Callable[[Tensor], Tensor], which: str) -> Tensors:
    return {
        name: change(tensor).contiguous() if f"lora_{which}" in name else tensor for name, tensor in factors().items()
    }


SHAPES: dict[str, Tensors] = {
    "ranks that differ": factors(rank=2) | {f"{MODULE}.lora_B.weight": torch.ones(5, 3)},
    "A of one side": changed(lambda a: a[0], "A"),
    "B of one side": changed(lambda b: b[:, 0], "B"),
    "A a number": changed(lambda a: torch.tensor(1.0), "A"),
    "rank 0": factors(rank=0),
    "no outputs": changed(lambda b: b[:0], "B"),
    "no inputs": changed(lambda a: a[:, :0], "A"),
    "a kernel in B": changed(lambda b: b[:, :, None].expand(5, RANK, 3), "B"),
    "whole numbers": changed(lambda a: a.long(), "A"),
    "A alone": {f"{MODULE}.lora_A.weight": torch.ones(2, 4)},
    "a bias": factors() | {f"{MODULE}.bias": torch.ones(5)},
    "a whole module": factors() | {"model.proj_out.weight": torch.ones(5, 4)},
    "two of a kind": factors() | {f"{MODULE}.lora_A.default.weight": torch.ones(2, 4)},
    "a magnitude": factors() | {f"{MODULE}.lora_magnitude_vector.weight": torch.ones(5)},
    "large out of little": factors(rank=1, out=400_000, into=400_000),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_factors(tmp_path: Path, kind: str) -> None:
    rank = {"rank 0": 0, "large out of little": 1}.get(kind, RANK)
    outcome = read_in_bounds(lambda path: read_lora(path).norm(), adapter(tmp_path / "a", SHAPES[kind], {"r": rank}))
    assert outcome.said != "read"
    assert outcome.seconds < 1.0


def test_no_numbers(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", changed(lambda a: a * NAN, "A"), {})
    with pytest.raises(CheckpointError, match="must be finite"):
        read_lora(folder).save(tmp_path / "v.safetensors")
    assert not (tmp_path / "v.safetensors").exists()


def test_what_is_right_is_read(tmp_path: Path) -> None:
    """By hand: ΔW = α/r · B A, by the first pattern that fits the end of the name, with a literal dot or without."""
    tensors = factors()
    product = tensors[f"{MODULE}.lora_B.weight"] @ tensors[f"{MODULE}.lora_A.weight"]
    config: dict[str, object] = {
        "lora_alpha": 4.5, "bias": "none", "init_lora_weights": "gaussian", "target_modules": "(a+)+x",
        "alpha_pattern": {"fc2": 9, r"layers\.[0-3]\.fc1": 3, "fc1": 5},
    }  # fmt: skip
    found = read_lora(adapter(tmp_path / "a", tensors, config)).tensors[f"{MODULE}.weight"]
    torch.testing.assert_close(found, product * 3 / RANK)
    plain = adapter(tmp_path / "b", tensors, {"lora_alpha": 4.5})
    torch.testing.assert_close(read_lora(plain).tensors[f"{MODULE}.weight"], product * 4.5 / RANK)
    both = combine_adapters([tmp_path / "a", plain], [1.0, -1.0], how="deltas").tensors[f"{MODULE}.weight"]
    torch.testing.assert_close(both, product * (3 - 4.5) / RANK)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must hold adapter_config\.json"):
        read_lora(tmp_path)
    folder = adapter(tmp_path / "a", factors(), {})
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(CheckpointError):
        read_lora(folder)
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_config.json").mkdir()
    with pytest.raises(CheckpointError):
        read_lora(folder)
