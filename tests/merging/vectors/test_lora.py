"""LoRA adapters as vectors: exactly what PEFT adds to the weights; and the search for weights without
gradients."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.vectors.lora import combine_adapters, read_lora

RANK = 3
DRAW = torch.Generator().manual_seed(0)


class Network(nn.Module):
    """A linear layer, convolutions of both kinds and an embedding, as a speech model has."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.conv1 = nn.Conv1d(6, 8, 3)
        self.conv2 = nn.Conv2d(2, 4, 3)
        self.q_proj = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 5, bias=False)


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"rank_pattern": {"fc": 2}, "alpha_pattern": {"fc": 7}}])
def test_it_is_what_peft_merges(tmp_path: Path, options: dict[str, Any]) -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    network = Network()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    save_file(before, tmp_path / "base.safetensors")
    targets = ["embed", "conv1", "conv2", "q_proj", "fc"]
    config = peft.LoraConfig(r=RANK, lora_alpha=5, target_modules=targets, init_lora_weights=False, **options)
    adapted = peft.get_peft_model(network, config)
    adapted.save_pretrained(tmp_path / "lora")
    merged = adapted.merge_and_unload().state_dict()
    tau = read_lora(tmp_path / "lora", tmp_path / "base.safetensors")
    assert sorted(tau.tensors) == sorted(f"{target}.weight" for target in targets)
    assert tau.base.fingerprint == fingerprint(open_checkpoint(tmp_path / "base.safetensors"))
    for name in tau.tensors:
        assert torch.allclose(before[name] + tau.tensors[name], merged[name], rtol=0, atol=2e-6), name
        assert not torch.equal(before[name], merged[name])


def write(folder: Path, tensors: dict[str, torch.Tensor], **config: Any) -> Path:
    folder.mkdir()
    save_file(
        {f"base_model.model.{name}": values for name, values in tensors.items()}, folder / "adapter_model.safetensors"
    )
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6, "base_model_name_or_path": "tiny"} | config
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


def pair(module: str = "fc", out: int = 5, into: int = 8) -> dict[str, torch.Tensor]:
    return {
        f"{module}.lora_A.weight": torch.randn(RANK, into, generator=DRAW),
        f"{module}.lora_B.weight": torch.randn(out, RANK, generator=DRAW),
    }


@pytest.mark.parametrize(("rs", "factor"), [(False, 6 / RANK), (True, 6 / math.sqrt(RANK))])
def test_by_hand(tmp_path: Path, rs: bool, factor: float) -> None:
    tensors = pair()
    tau = read_lora(write(tmp_path / "lora", tensors, use_rslora=rs))
    expected = factor * tensors["fc.lora_B.weight"].double() @ tensors["fc.lora_A.weight"].double()
    assert torch.allclose(tau.tensors["fc.weight"].double(), expected, atol=1e-5)
    assert tau.base.name == "tiny"
    assert tau.provenance.hyper_parameters["lora_alpha"] == 6


def test_a_transposed_weight(tmp_path: Path) -> None:
    tensors = pair()
    straight = read_lora(write(tmp_path / "one", tensors)).tensors["fc.weight"]
    turned = read_lora(write(tmp_path / "two", tensors, fan_in_fan_out=True)).tensors["fc.weight"]
    assert torch.equal(turned, straight.T)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"use_dora": True}}, "DoRA is not a low-rank difference"),
        ({"config": {"peft_type": "IA3"}}, "only LoRA adapters"),
        ({"config": {"lora_alpha": None}}, "must give lora_alpha and the rank"),
        ({"config": {"r": 7}}, "must give lora_alpha and the rank"),
        ({"drop": "fc.lora_B.weight"}, "fc: each LoRA A needs its B"),
        ({"extra": "fc.bias"}, "not a LoRA factor"),
        ({"extra": "classifier.modules_to_save.weight"}, "not a LoRA factor"),
    ],
)
def test_what_is_no_plain_lora_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    tensors = pair()
    if "drop" in change:
        del tensors[change["drop"]]
    if "extra" in change:
        tensors[change["extra"]] = torch.ones(2)
    with pytest.raises(CheckpointError) as caught:
        read_lora(write(tmp_path / "lora", tensors, **change.get("config", {})))
    assert message in str(caught.value)


def test_a_base_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    save_file({"fc.weight": torch.ones(5, 9)}, tmp_path / "base.safetensors")
    with pytest.raises(CheckpointError, match=r"fc\.weight: the base must have this adapted weight as \(5, 8\)"):
        read_lora(write(tmp_path / "lora", pair()), tmp_path / "base.safetensors")


def test_combinations(tmp_path: Path) -> None:
    tensors = [pair(), pair()]
    folders = [write(tmp_path / str(n), tensors[n], lora_alpha=alpha) for n, alpha in ((0, 6), (1, 12))]
    one, two = (read_lora(folder).tensors["fc.weight"] for folder in folders)
    summed = combine_adapters(folders, [0.5, -2.0], how="deltas").tensors["fc.weight"]
    assert torch.allclose(summed, 0.5 * one - 2 * two, atol=1e-4)
    alone = combine_adapters(folders[:1], [0.5]).tensors["fc.weight"]
    assert torch.allclose(alone, 0.25 * one, atol=1e-5)  # both factors are scaled
    mixed = combine_adapters(folders, [0.5, -2.0]).tensors["fc.weight"]
    (a0, b0), (a1, b1) = ((t["fc.lora_A.weight"], t["fc.lora_B.weight"]) for t in tensors)
    r0, r1 = math.sqrt(6 / RANK), math.sqrt(12 / RANK)
    expected = (0.5 * r0 * b0 - 2 * r1 * b1) @ (0.5 * r0 * a0 - 2 * r1 * a1)
    assert torch.allclose(mixed, expected, atol=1e-4)
    other = write(tmp_path / "other", pair("q", 8, 8))
    with pytest.raises(CheckpointError, match="same modules and rank"):
        combine_adapters([folders[0], other], [1.0, 1.0])
