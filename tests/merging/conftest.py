"""Small checkpoints on disk, in every format a user may bring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from speech_analogy.merging.io.header import TensorSpec

State = dict[str, Tensor]

SPECS = [TensorSpec(f"t{number}", (100 + number,), torch.float32) for number in range(30)]
"""Tensors that `make_spec` makes."""


def make_spec(spec: TensorSpec) -> Iterator[Tensor]:
    """One of `SPECS`, in two pieces."""
    values = torch.arange(spec.numel, dtype=torch.float32) + int(spec.name[1:])
    yield values[:7]
    yield values[7:]


def make_state(seed: int, dtype: torch.dtype = torch.float32, spread: float = 1.0) -> State:
    """A Whisper-like handful of tensors: encoder and decoder layers, an embedding, a scalar, an empty
    tensor."""
    generator = torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "model.decoder.embed_tokens.weight": (37, 8),
        "model.encoder.conv1.weight": (8, 5, 3),
        "model.scalar": (),
        "model.empty": (0, 4),
    }
    for part in ("encoder", "decoder"):
        for layer in range(3):
            for module in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes[f"model.{part}.layers.{layer}.self_attn.{module}.weight"] = (8, 8)
            shapes[f"model.{part}.layers.{layer}.fc1.weight"] = (16, 8)
            shapes[f"model.{part}.layers.{layer}.fc1.bias"] = (16,)
    return {name: (torch.randn(shape, generator=generator) * spread).to(dtype) for name, shape in shapes.items()}


def near(state: State, seed: int, spread: float = 0.01) -> State:
    """A fine-tuned neighbour of a state."""
    noise = make_state(seed, spread=spread)
    return {name: (values.float() + noise[name]).to(values.dtype) for name, values in state.items()}


def write_folder(
    folder: Path,
    state: State,
    config: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Path:
    """A Hugging Face folder."""
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "whisper", "dtype": "float32"}))
    (folder / "generation_config.json").write_text('{"max_length": 448}')
    (folder / "merges.txt").write_text("#version: 0.2\n")
    if provenance is not None:
        (folder / "provenance.json").write_text(json.dumps(provenance))
    return folder


def write_shards(folder: Path, state: State, shards: int) -> Path:
    """A sharded Hugging Face folder."""
    folder.mkdir(parents=True)
    weight_map = {}
    for number in range(shards):
        part = {name: state[name] for name in sorted(state)[number::shards]}
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    return folder


def same_bits(one: Tensor, two: Tensor) -> bool:
    """Bit for bit, so that −0.0 differs from 0.0."""
    if one.dtype != two.dtype or one.shape != two.shape:
        return False
    return one.contiguous().reshape(-1).view(torch.uint8).equal(two.contiguous().reshape(-1).view(torch.uint8))


@pytest.fixture
def corners(tmp_path: Path) -> dict[str, Path]:
    """Folders of θ_0, A, B and C, tuned from one base."""
    base = make_state(0)
    paths = {"base": write_folder(tmp_path / "base", base)}
    for seed, corner in enumerate("abc", start=1):
        paths[corner] = write_folder(tmp_path / corner, near(base, seed))
    return paths
