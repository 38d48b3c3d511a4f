"""Files that claim more than they hold: refused by their size, within a second and before memory is taken."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from data_synth.engines.support.x_vectors import read_x_vectors
from speech_analogy.errors import CheckpointError, SpeechAnalogyError, SynthesisError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.whisper.openai_format import read_openai
from tests.faults.bounded import MOST_S, read_in_bounds

REFUSED_WITHIN_S = 1.0


def open_whole(path: Path) -> None:
    opened = open_checkpoint(path)
    for name in opened:
        opened[name].float().sum()


def open_vector(path: Path) -> float:
    return TaskVector.load(path, verify=False).norm()


def refused(read: Callable[[Path], object], *paths: Path) -> list[str]:
    """The lines with which files were refused, each in time and without memory."""
    outcomes = {path.name: read_in_bounds(read, path) for path in paths}
    assert [name for name, one in outcomes.items() if one.said == "read" or one.seconds > REFUSED_WITHIN_S] == []
    return [one.said for one in outcomes.values()]


def raw_safetensors(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def expanded(*shape: int) -> torch.Tensor:
    return torch.zeros(1).expand(*shape)


def entry(shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def test_weights_that_claim_more_than_they_hold(tmp_path: Path) -> None:
    torch.save({"a": expanded(20_000_000_000)}, tmp_path / "stride0.pt")
    torch.save({"model_state_dict": {"a": expanded(200_000, 100_000)}}, tmp_path / "stride0-inside.pt")
    torch.save({"a": expanded(20_000_000_000)}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    whole = torch.zeros(250_000)
    torch.save({f"t{index}": whole for index in range(4000)}, tmp_path / "shared.pt")
    torch.save(
        {f"t{index}": torch.zeros(1).as_strided((1000, 1000), (0, 0)) for index in range(1000)}, tmp_path / "many.pt"
    )
    legacy = tmp_path / "legacy-storage.pt"
    torch.save({"a": torch.zeros(3)}, legacy, _use_new_zipfile_serialization=False)
    legacy.write_bytes(legacy.read_bytes().replace(b"K\x03Nt", b"\x8a\x05\x00\xc8\x17\xa8\x04Nt"))
    files = [tmp_path / name for name in ("stride0.pt", "stride0-inside.pt", "legacy.pt", "shared.pt", "many.pt")]
    for line in refused(open_whole, *files, legacy):
        assert "not be larger than what is stored" in line or "must not exceed the file" in line, line
    with pytest.raises(CheckpointError, match="not be larger"):
        read_openai(tmp_path / "stride0-inside.pt")


def test_headers_that_claim_more_than_they_hold(tmp_path: Path) -> None:
    empty = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    names = ",".join(f'"model.{index}.w":{empty}' for index in range(150_000))
    sides = b'{"a":{"dtype":"F32","shape":[' + b"1," * 6_000_000 + b'1],"data_offsets":[0,4]}}'
    metadata = b'{"__metadata__":{' + b",".join(b'"%d":""' % index for index in range(1_100_000)) + b"}}"
    files = [
        raw_safetensors(tmp_path / "names.safetensors", f"{{{names}}}".encode()),
        raw_safetensors(tmp_path / "list.safetensors", sides, bytes(4)),
        raw_safetensors(tmp_path / "metadata.safetensors", metadata),
        raw_safetensors(tmp_path / "zero.safetensors", {"a": entry([0, 1 << 62, 1 << 62], 0, 0)}),
        raw_safetensors(tmp_path / "sides.safetensors", {"a": entry([1] * 70, 0, 4)}, bytes(4)),
    ]
    long = tmp_path / "length.safetensors"
    long.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    assert files[0].stat().st_size > 9_000_000
    lines = refused(open_whole, *files, long)
    assert "at most 50000 tensors (found 150000)" in lines[0]


def shards(folder: Path, weight_map: dict[str, str]) -> Path:
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def test_an_index_of_thousands_of_shards_or_of_megabytes(tmp_path: Path) -> None:
    many = shards(tmp_path / "many", {f"t{index}": f"model-{index}.safetensors" for index in range(5000)})
    large = shards(tmp_path / "large", {"a": "model-1.safetensors"})
    with (large / "model.safetensors.index.json").open("a") as file:
        file.write(" " * 33_000_000)
    lines = refused(open_whole, many, large)
    assert "at most 256 files (found 5000)" in lines[0]
    assert "at most 32000000 bytes" in lines[1]


@pytest.mark.parametrize("how", ["..", "absolute", "link", "folder"])
def test_an_index_names_nothing_outside_its_folder(tmp_path: Path, how: str) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    names = {
        "..": "../other.safetensors",
        "absolute": str(tmp_path / "other.safetensors"),
        "folder": "x/../m.safetensors",
    }
    folder = shards(tmp_path / "model", {"a": names.get(how, "model-1.safetensors")})
    if how == "link":
        (folder / "model-1.safetensors").symlink_to(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="a shard must lie beside its index"):
        open_checkpoint(folder)


def test_links_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots").mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "blobs" / "0123abc")
    folder = shards(tmp_path / "snapshots" / "main", {"a": "model-1.safetensors"})
    (folder / "model-1.safetensors").symlink_to("../../blobs/0123abc")
    assert open_checkpoint(folder)["a"].tolist() == [1.0, 1.0]


def with_config(folder: Path, out: Path, **values: object) -> Path:
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, **values}))
    return out


ABSURD: dict[str, dict[str, object]] = {
    "layers": {"encoder_layers": 100_000},
    "decoder": {"decoder_layers": 100_000},
    "some-layers": {"encoder_layers": 500, "decoder_layers": 500},
    "width": {"d_model": 1 << 20},
    "feed-forward": {"encoder_ffn_dim": 1 << 40},
    "vocabulary": {"vocab_size": 10_000_000_000},
    "positions": {"max_source_positions": 10_000_000_000},
    "mels": {"num_mel_bins": 1 << 50},
    "overflow": {"vocab_size": 1 << 70},
    "negative": {"d_model": -64},
    "none": {"decoder_attention_heads": 0},
    "a-word": {"d_model": "wide"},
    "a-list": {"encoder_layers": [1] * 200_000},
}


def test_configs_of_absurd_sizes(small_whisper: Path, tmp_path: Path) -> None:
    folders = [with_config(small_whisper, tmp_path / name, **values) for name, values in ABSURD.items()]
    large = with_config(small_whisper, tmp_path / "large", note="x" * 40_000_000)
    lines = refused(load_recogniser, *folders, large)
    assert "encoder_layers" in lines[0]
    assert "does not fit its weights" in lines[3]


def test_an_adapter_beside_a_model_does_not_replace_it(small_whisper: Path, tmp_path: Path) -> None:
    folder = with_config(small_whisper, tmp_path / "model")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "nobody/nothing"}')
    with pytest.raises(CheckpointError, match="folder of an adapter"):
        load_recogniser(folder)


def coded(path: Path, encoding: dict[str, object], parts: dict[str, torch.Tensor]) -> Path:
    metadata = {"schema": "speech-analogy/task-vector/1", "encoding": json.dumps(encoding)}
    save_file(parts, path, metadata)
    return path


def test_vectors_that_claim_more_than_they_hold(tmp_path: Path) -> None:
    gaps = {"x#gaps": torch.zeros(8, dtype=torch.uint8), "x#values": torch.zeros(8), "y#values": torch.zeros(1)}

    def described(layout: str, *shape: int) -> dict[str, object]:
        other = {"layout": "dense", "values": "fp32", "shape": [1]}
        return {"x": {"layout": layout, "values": "fp32", "shape": list(shape)}, "y": other}

    zeros = {f"z{index}": {"layout": "zero", "values": "fp32", "shape": [1 << 30]} for index in range(100)}
    files = [
        coded(tmp_path / "zero.safetensors", described("zero", 20_000_000_000), gaps),
        coded(tmp_path / "zeros.safetensors", zeros, {"z0#values": torch.zeros(1)}),
        coded(tmp_path / "gaps.safetensors", described("gaps", 200_000, 100_000), gaps),
        coded(tmp_path / "sides.safetensors", described("zero", 0, 1 << 62, 1 << 62), gaps),
    ]
    refused(open_vector, *files)


def npy(path: Path, shape: str, data: bytes = b"") -> Path:
    path.parent.mkdir()
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
    return path.parent


def test_x_vectors_that_claim_more_than_they_hold(tmp_path: Path) -> None:
    folders = [
        npy(tmp_path / "a" / "a.npy", "(20000000, 512)"),
        npy(tmp_path / "b" / "b.npy", "(512, 0, 99999999999999999999999)"),
        npy(tmp_path / "c" / "c.npy", "(-512,)"),
    ]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "d.json").write_text("[" * 50_000_000)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "e.json").write_text("[" * 100_000)
    refused(read_x_vectors, *folders, tmp_path / "d", tmp_path / "e")
    (tmp_path / "f").mkdir()
    np.savez(tmp_path / "f" / "f.npz", a=np.ones(512))
    (tmp_path / "f" / "f.npz").rename(tmp_path / "f" / "f.npy")
    with pytest.raises(SynthesisError, match=r"f\.npy"):
        read_x_vectors(tmp_path / "f")


# What a .pt may be besides: right numbers, or one line.

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, -2], dtype=torch.int64)}


def repacked(path: Path, change: Callable[[str, bytes], bytes | None], how: int = zipfile.ZIP_STORED) -> Path:
    """The records of a .pt again, changed, or left out for None."""
    with zipfile.ZipFile(path) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in records:
            new = change(name, content)
            if new is not None:
                archive.writestr(name, new)
    return path


def saved(path: Path, content: object = STATE, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def kept(name: str, content: bytes) -> bytes:
    return content


def big_endian(name: str, content: bytes) -> bytes:
    if name.endswith("byteorder"):
        return b"big"
    if name.endswith("/data/0"):
        return np.frombuffer(content, "<f4").astype(">f4").tobytes()
    return np.frombuffer(content, "<i8").astype(">i8").tobytes() if name.endswith("/data/1") else content


def twice(path: Path) -> Path:
    with zipfile.ZipFile(path, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data/0"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, bytes(24))
    return path


OTHER_FILES: dict[str, Callable[[Path], Path]] = {
    "deflated": lambda path: repacked(saved(path), kept, zipfile.ZIP_DEFLATED),
    "packed again": lambda path: repacked(saved(path), kept),
    "big-endian": lambda path: repacked(saved(path), big_endian),
    "a record twice": lambda path: twice(saved(path)),
    "a record missing": lambda path: repacked(saved(path), lambda name, data: None if name.endswith("/0") else data),
    "a record too short": lambda path: repacked(
        saved(path), lambda name, data: data[:4] if name.endswith("/0") else data
    ),
    "legacy": lambda path: saved(path, _use_new_zipfile_serialization=False),
    "parameters": lambda path: saved(path, {"a": torch.nn.Parameter(STATE["a"]), "b": STATE["b"]}),
    "transposed": lambda path: saved(path, {"a": STATE["a"].T.contiguous().T, "b": STATE["b"]}),
    "overlapping": lambda path: saved(path, {"a": torch.arange(6.0)[:6].view(2, 3), "b": STATE["b"]}),
    "a slice": lambda path: saved(path, {"a": torch.arange(-4.0, 90.0)[4:10].view(2, 3), "b": STATE["b"]}),
    "flipped": lambda path: saved(path, {"a": STATE["a"], "b": torch.conj(STATE["b"] * 1)}),
}

MUST_BE_REFUSED = ("deflated", "big-endian", "a record twice", "a record missing", "a record too short")


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize("how", OTHER_FILES)
def test_other_pickled_files_are_right_or_refused(tmp_path: Path, how: str) -> None:
    file = OTHER_FILES[how](tmp_path / "m.pt")
    if how in MUST_BE_REFUSED:
        with pytest.raises(CheckpointError):
            open_whole(file)
        return
    found = open_checkpoint(file)
    assert {name: found[name].tolist() for name in found} == {name: STATE[name].tolist() for name in STATE}


WRONG_TENSORS: dict[str, Callable[[], object]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "complex": lambda: torch.ones(3, dtype=torch.complex64),
    "meta": lambda: torch.ones(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2)]),
    "a storage": lambda: torch.ones(3).untyped_storage(),
    "a number": lambda: 3,
    "conjugated": lambda: torch.ones(3, dtype=torch.complex64).conj(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", WRONG_TENSORS)
@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_that_are_no_weights(tmp_path: Path, kind: str, zipped: bool) -> None:
    try:
        file = saved(tmp_path / "m.pt", {"a": WRONG_TENSORS[kind]()}, _use_new_zipfile_serialization=zipped)
    except (RuntimeError, NotImplementedError, AttributeError) as error:
        pytest.skip(f"torch cannot write it: {error}")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bool", "uint16", "float8_e8m0fnu"])
def test_rare_dtypes_are_right_or_refused(tmp_path: Path, dtype: str) -> None:
    tensor = torch.tensor([0, 1, 1, 0], dtype=torch.uint8).view(getattr(torch, dtype, torch.uint8))
    try:
        found = open_checkpoint(saved(tmp_path / "m.pt", {"a": tensor}))
    except CheckpointError:
        assert dtype in ("float8_e8m0fnu")
        return
    assert found["a"].view(torch.uint8).tolist() == tensor.view(torch.uint8).tolist()


def test_a_pickle_of_a_million_operations(tmp_path: Path) -> None:
    file = repacked(
        saved(tmp_path / "m.pt"),
        lambda name, data: b"\x80\x02" + b")" * 3_000_000 + b"." if name.endswith(".pkl") else data,
    )
    memo = tmp_path / "memo.pt"
    memo.write_bytes(pickle.dumps({"a": 1}, 2)[:-1] + b"r\xff\xff\xff\xff.")
    slow, hungry = (read_in_bounds(open_whole, path) for path in (file, memo))
    assert slow.seconds < MOST_S
    assert "operations" in slow.said
    assert hungry.seconds < MOST_S


@pytest.mark.parametrize("how", ["F4", "C64", "F8_E8M0", "Q8"])
def test_safetensors_of_other_dtypes(tmp_path: Path, how: str) -> None:
    header = {"a": {"dtype": how, "shape": [4], "data_offsets": [0, 4]}}
    with pytest.raises(CheckpointError, match="dtype must be one of"):
        open_checkpoint(raw_safetensors(tmp_path / "m.safetensors", header, bytes(4)))


def test_a_vector_is_no_pickle(tmp_path: Path) -> None:
    with pytest.raises(SpeechAnalogyError, match="schema"):
        TaskVector.load(saved(tmp_path / "v.pt"))
