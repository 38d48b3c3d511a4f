"""Every format gives the same tensors; every broken file is refused with its name, its tensor and the
rule."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from tests.merging.conftest import make_state, same_bits, write_folder, write_shards


def write_raw(file: Path, header: Any, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return file


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_format_holds_the_same_tensors(tmp_path: Path, dtype: torch.dtype) -> None:
    state = make_state(0, dtype)
    write_folder(tmp_path / "folder", state)
    write_shards(tmp_path / "shards", state, 3)
    torch.save(state, tmp_path / "pytorch_model.bin")
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": state}, tmp_path / "openai.pt")
    torch.save(state, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    places = ["folder", "folder/model.safetensors", "shards", "pytorch_model.bin", "openai.pt", "legacy.bin"]
    for place in places:
        opened = open_checkpoint(tmp_path / place)
        assert opened.keys() == sorted(state), place
        for name, expected in state.items():
            assert opened.shape(name) == tuple(expected.shape)
            assert opened.dtype(name) == dtype
            assert same_bits(opened[name], expected), (place, name)


def test_sharded_pickles_are_read(tmp_path: Path) -> None:
    state = make_state(1)
    names = sorted(state)
    torch.save({name: state[name] for name in names[:5]}, tmp_path / "a.bin")
    torch.save({name: state[name] for name in names[5:]}, tmp_path / "b.bin")
    weight_map = dict.fromkeys(names[:5], "a.bin") | dict.fromkeys(names[5:], "b.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    opened = open_checkpoint(tmp_path)
    assert all(same_bits(opened[name], state[name]) for name in names)


def test_unaligned_tensors_are_read(tmp_path: Path) -> None:
    data = b"\x07" + struct.pack("<2f", 1.5, -2.5)
    header = {"a": entry("U8", [1], 0, 1), "b": entry("F32", [2], 1, 9)}
    opened = open_checkpoint(write_raw(tmp_path / "x.safetensors", header, data))
    assert opened["b"].tolist() == [1.5, -2.5]


def test_writing_into_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    file = write_folder(tmp_path / "m", make_state(2)) / "model.safetensors"
    before = file.read_bytes()
    open_checkpoint(file)["model.encoder.conv1.weight"].zero_()
    assert file.read_bytes() == before


TIED = "model.decoder.embed_tokens.weight"


@pytest.mark.parametrize(
    ("config", "same", "tied"),
    [
        ({"model_type": "whisper"}, True, True),
        ({"model_type": "whisper", "tie_word_embeddings": True}, True, True),
        ({"model_type": "whisper", "tie_word_embeddings": False}, True, False),
        ({"model_type": "whisper"}, False, False),
    ],
)
def test_a_tied_projection_is_left_out(tmp_path: Path, config: dict[str, Any], same: bool, tied: bool) -> None:
    state = make_state(3)
    state["proj_out.weight"] = state[TIED].clone() + (0.0 if same else 1.0)
    opened = open_checkpoint(write_folder(tmp_path / "m", state, config))
    assert ("proj_out.weight" in opened) != tied
    assert opened.tied == ({"proj_out.weight": TIED} if tied else {})


def test_a_shared_storage_in_a_pickle_is_tied(tmp_path: Path) -> None:
    state = make_state(4)
    state["proj_out.weight"] = state[TIED]
    torch.save(state, tmp_path / "m.pt")
    assert open_checkpoint(tmp_path / "m.pt").tied == {"proj_out.weight": TIED}


F32 = entry("F32", [2], 0, 8)
LIES = {
    "offsets beyond the file": ({"a": entry("F32", [4], 0, 16)}, 8, "a: data_offsets must lie inside"),
    "offsets against the shape": ({"a": entry("F32", [3], 0, 8)}, 8, "a: shape [3] of F32 takes 12 bytes"),
    "a huge shape": ({"a": entry("F32", [2**62, 2**62], 0, 8)}, 8, "a: shape"),
    "a negative size": ({"a": entry("F32", [-2], 0, 8)}, 8, "a: shape must be a list of sizes"),
    "a size that is true": ({"a": entry("F32", [True], 0, 4)}, 4, "a: shape must be a list of sizes"),
    "turned offsets": ({"a": entry("F32", [0], 8, 0)}, 8, "a: data_offsets must lie inside"),
    "an unknown dtype": ({"a": entry("F33", [2], 0, 8)}, 8, "a: dtype must be one of"),
    "an overlap": ({"a": F32, "b": entry("F32", [2], 4, 12)}, 12, "b: data_offsets must neither overlap"),
    "a hole": ({"a": F32, "b": entry("F32", [2], 12, 20)}, 20, "b: data_offsets must neither overlap"),
    "bytes left over": ({"a": F32}, 9, "must end where its last tensor ends"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [2]}}, 8, "a: an entry must have dtype, shape"),
    "metadata of numbers": ({"__metadata__": {"x": 1}, "a": F32}, 8, "__metadata__: metadata must map"),
    "a list": ([1], 0, "must be a JSON object"),
    "no JSON": (b"{nonsense", 0, "must be JSON"),
    "no text": (b"\xff\xfe\x00\x00", 0, "must be JSON"),
    "a name twice": (
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        8,
        "a: a name must occur once",
    ),
    "deep nesting": (b"[" * 200_000, 0, "must be JSON"),
    "no tensors": ({}, 0, "at least one tensor"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_lying_header_is_refused(tmp_path: Path, case: str) -> None:
    header, size, message = LIES[case]
    file = write_raw(tmp_path / "lie.safetensors", header, bytes(size))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(file)
    assert message in str(caught.value)
    assert "lie.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    save_file(make_state(5), tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    header_end = 8 + int.from_bytes(whole[:8], "little")
    for length in (0, 3, 8, 9, header_end - 1, header_end, header_end + 1, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
            open_checkpoint(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"model.a": "model-9.safetensors"}, "names a shard that is missing"),
        ({"model.a": "../../etc/passwd"}, "must lie beside its index"),
        ({"model.a": "s.safetensors", "model.b": "s.safetensors"}, "model.b: the index promises"),
        ({}, "must have a weight_map"),
        ([], "must have a weight_map"),
    ],
)
def test_a_lying_index_is_refused(tmp_path: Path, weight_map: Any, message: str) -> None:
    save_file({"model.a": torch.ones(2)}, tmp_path / "s.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path)
    assert message in str(caught.value)


def test_a_shard_with_a_tensor_the_index_has_not_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2), "b": torch.ones(2)}, tmp_path / "s.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "s.safetensors"}}))
    with pytest.raises(CheckpointError, match="b: the index places this tensor elsewhere"):
        open_checkpoint(tmp_path)


class Bomb:
    """A pickle that would leave a file behind if it were run."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, (f"open({str(self.target)!r}, 'w').close()",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    file, mark = tmp_path / "evil.pt", tmp_path / "it-ran"
    torch.save({"a": torch.ones(2), "b": Bomb(mark)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="no code"):
        open_checkpoint(file)
    file.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(CheckpointError):
        open_checkpoint(file)
    assert not mark.exists()


@pytest.mark.parametrize("content", [[torch.ones(1)], {"a": "text"}, {1: torch.ones(1)}, {}, torch.ones(2)])
def test_a_pickle_without_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="must map names to tensors"):
        open_checkpoint(tmp_path / "x.pt")


def test_a_missing_or_empty_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        open_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="must hold one of"):
        open_checkpoint(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"not a readable PyTorch file|no code"):
        open_checkpoint(tmp_path / "x.bin")
    folder = write_folder(tmp_path / "m", make_state(0))
    (folder / "config.json").write_text("{broken")
    with pytest.raises(CheckpointError, match=r"config\.json: the file must be JSON"):
        open_checkpoint(folder)
