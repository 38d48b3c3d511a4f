"""Model folders: shards and their index, what is copied and recorded, and a whole folder or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import MARK
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.header import TensorSpec
from speech_analogy.merging.io.model_folder import new_folder, plan_shards, write_model_folder, write_weights
from speech_analogy.merging.io.stream import StreamOptions
from tests.merging.conftest import SPECS, make_spec, make_state, write_folder


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=20), limit=st.integers(1, 400))
def test_shards_hold_everything_once_and_within_the_limit(sizes: list[int], limit: int) -> None:
    specs = [TensorSpec(f"{number:02d}", (size,), torch.float32) for number, size in enumerate(sizes)]
    shards = plan_shards(specs, limit)
    assert [spec for shard in shards for spec in shard] == specs
    assert all(sum(spec.nbytes for spec in shard) <= limit or len(shard) == 1 for shard in shards)


def test_shards_are_named_and_indexed_as_transformers_wants(tmp_path: Path) -> None:
    write_weights(tmp_path, SPECS, make_spec, StreamOptions(threads=3, shard_bytes=2000))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    count = len({*index["weight_map"].values()})
    assert index["weight_map"]["t0"] == f"model-00001-of-{count:05d}.safetensors"
    opened = open_checkpoint(tmp_path)
    assert all(torch.equal(opened[spec.name], torch.cat(list(make_spec(spec)))) for spec in SPECS)


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "d") as folder:
            (folder / "x").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_everything_of_a_model_folder_is_written(tmp_path: Path) -> None:
    state = make_state(0)
    source = open_checkpoint(write_folder(tmp_path / "c", state, provenance={"base": "x"}))
    (tmp_path / "c" / "trainer_state.json").write_text("{}")
    out = write_model_folder(
        tmp_path / "d",
        source,
        lambda spec: [source[spec.name].to(spec.dtype)],
        {"operation": "copy"},
        companions=source.folder,
        dtype=torch.float16,
    )
    made = open_checkpoint(out)
    assert all(torch.equal(made[name], values.half()) for name, values in state.items())
    assert made.config["dtype"] == "float16"
    assert made.provenance["operation"] == "copy"
    assert made.provenance["schema"] == 1
    assert made.provenance["created"]
    assert "base" not in made.provenance
    names = [MARK, "README.md", "config.json", "generation_config.json", "merges.txt", "model.safetensors"]
    names.append("provenance.json")
    assert sorted(file.name for file in out.iterdir()) == names


def test_only_a_model_folder_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "config.json").write_text("{}")  # a model that somebody downloaded
    with (
        pytest.raises(CheckpointError, match="not written by speech-analogy"),
        new_folder(tmp_path / "diary", overwrite=True),
    ):
        pass
    with pytest.raises(CheckpointError, match="exists already"), new_folder(tmp_path / "diary"):
        pass
