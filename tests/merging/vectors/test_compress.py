"""Compressed vectors: what each coding promises, the loss in the header, and damaged encodings."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.merging.tensors import StateDict
from speech_analogy.merging.vectors.compress import COMPRESSIONS, Compression, compress
from speech_analogy.merging.vectors.encodings import (
    GROUP,
    Values,
    decode,
    decode_values,
    decoded_source,
    encode_dense,
    encode_low_rank,
    encode_sparse,
    encode_values,
)
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import make_state, near, write_folder


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 700), seed=st.integers(0, 99), how=st.sampled_from(["fp32", "fp16", "int8", "int4", "sign"]))
def test_every_coding_keeps_its_bound(n: int, seed: int, how: Values) -> None:
    values = torch.randn(n, generator=torch.Generator().manual_seed(seed)) * 1e-4
    found = decode_values(encode_values(values, how), how, n)
    assert found.shape == values.shape
    for start in range(0, n, GROUP.get(how, 512)):
        group, made = (x[start : start + GROUP.get(how, 512)] for x in (values, found))
        largest = group.abs().max()
        if how == "fp32":
            assert torch.equal(made, group)
        elif how == "sign":
            assert torch.allclose(made.abs(), group.abs().mean().expand_as(made), rtol=1e-4)
            assert bool(((made > 0) == (group >= 0)).all())
        else:
            steps = {"fp16": 2048, "int8": 127, "int4": 7}[how]
            assert (made - group).abs().max() <= largest * 0.5001 / steps + 1e-12


@settings(max_examples=80, deadline=None)
@given(n=st.integers(0, 3000), share=st.sampled_from([0.0, 0.001, 0.01, 0.2, 1.0]), seed=st.integers(0, 99))
def test_positions_survive(n: int, share: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    values = torch.where(torch.rand(n, generator=draw) < share, torch.randn(n, generator=draw), 0.0).reshape(1, n)
    coded = encode_sparse(values, "fp32")
    assert torch.equal(decode(coded), values)
    size = sum(part.numel() * part.itemsize for part in coded.parts.values())
    assert size <= 4 * int(values.count_nonzero()) + (n + 7) // 8


def test_sparse_tensors_use_gaps_and_thick_ones_a_mask() -> None:
    thin, thick = torch.zeros(10_000), torch.zeros(10_000)
    thin[[0, 255, 511, 9_999]] = 1.0
    thick[::3] = 1.0
    assert encode_sparse(thin, "fp32").layout == "gaps"
    assert encode_sparse(thick, "fp32").layout == "mask"
    assert torch.equal(decode(encode_sparse(thin, "fp32")), thin)


def test_low_rank_of_a_low_rank_matrix_is_exact() -> None:
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(20, 2, generator=draw) @ torch.randn(2, 12, generator=draw)
    assert torch.allclose(
        decode(encode_low_rank(matrix.reshape(20, 4, 3), 2, "fp32")).reshape(20, 12), matrix, atol=1e-4
    )


def tau(seed: int = 1) -> TaskVector:
    base = make_state(0)
    return TaskVector.between(base, near(base, seed))


CASES = [
    Compression("fp32"),
    Compression("fp16"),
    Compression("int8"),
    Compression("int4"),
    Compression("sign"),
    Compression("topk", 0.2),
    Compression("topk", 0.2, "int8"),
    Compression("topk", 0.05, "sign"),
    Compression("dare", 0.3, "int8", seed=4),
    Compression("low-rank", 0.4),
    Compression("low-rank", 0.4, "int8"),
]


@pytest.mark.parametrize("how", CASES, ids=lambda how: f"{how.method}-{how.keep}-{how.values}")
def test_a_compressed_vector_loads_and_its_header_tells_the_loss(tmp_path: Path, how: Compression) -> None:
    full = tau()
    report = compress(full, tmp_path / "small.safetensors", how)
    loaded = TaskVector.load(tmp_path / "small.safetensors")
    assert sorted(loaded.tensors) == sorted(full.tensors)
    assert all(loaded.tensors.shape(name) == full.tensors.shape(name) for name in full.tensors)
    error = (full - TaskVector(loaded.tensors, full.base, full.provenance)).norm() / full.norm()
    told = loaded.provenance.compression
    assert told["relative_error"] == pytest.approx(error, rel=1e-4, abs=1e-7)
    assert told["cosine"] == pytest.approx(full.cosine(loaded), rel=1e-5)
    assert (told["method"], told["keep"], told["values"]) == (how.method, how.keep, how.values)
    assert report.relative_error == told["relative_error"]
    assert loaded.base == full.base
    bound = {
        "fp32": 0.0,
        "fp16": 3e-4,
        "int8": 0.01,
        "int4": 0.15,
        "sign": 0.7,
        "topk": 0.9,
        "dare": 1.9,
        "low-rank": 0.8,
    }
    assert error <= bound[how.method] + 1e-9


def test_topk_keeps_the_largest_of_the_whole_vector(tmp_path: Path) -> None:
    full = tau()
    compress(full, tmp_path / "v.safetensors", Compression("topk", 0.1, "fp32"))
    loaded = TaskVector.load(tmp_path / "v.safetensors")
    everything = torch.cat([full.tensors[name].reshape(-1) for name in full.tensors])
    kept = torch.cat([loaded.tensors[name].reshape(-1) for name in full.tensors])
    k = int(0.1 * len(everything))
    assert int(kept.count_nonzero()) == k
    assert kept.abs().sum().item() == pytest.approx(everything.abs().sort(descending=True).values[:k].sum().item())
    lost = math.sqrt(1 - (kept.norm() / everything.norm()).item() ** 2)
    assert loaded.provenance.compression["relative_error"] == pytest.approx(lost, rel=1e-4)


def test_sizes(tmp_path: Path) -> None:
    """Bytes of a 200 × 300 matrix, by hand."""
    base = {"w": torch.zeros(200, 300)}
    full = TaskVector.between(base, {"w": torch.randn(200, 300, generator=torch.Generator().manual_seed(0))})
    n = 60_000
    expected = {
        Compression("int8"): n + 4 * math.ceil(n / 256),
        Compression("int4"): n // 2 + 4 * math.ceil(n / 64),
        Compression("sign"): n // 8 + 4 * math.ceil(n / 512),
        Compression("topk", 0.1, "int8"): n // 8 + 6000 + 4 * math.ceil(6000 / 256),
        Compression("low-rank", 0.1, "fp32"): 4 * 12 * 500 + 4,
    }
    for number, (how, size) in enumerate(expected.items()):
        report = compress(full, tmp_path / f"{number}.safetensors", how)
        if how.method == "topk":
            assert report.data_bytes <= size
        else:
            assert report.data_bytes == size
        assert report.file_bytes == (tmp_path / f"{number}.safetensors").stat().st_size
        assert report.ratio == pytest.approx(4 * n / report.file_bytes)


def test_it_is_applied_like_any_other(tmp_path: Path) -> None:
    base = make_state(0)
    write_folder(tmp_path / "base", base)
    full = TaskVector.between(tmp_path / "base", near(base, 1))
    compress(full, tmp_path / "v.safetensors", Compression("int8"))
    out = TaskVector.load(tmp_path / "v.safetensors").apply(tmp_path / "base", tmp_path / "out")
    tuned = near(base, 1)
    assert all(
        torch.allclose(values, tuned[name], atol=3e-4) for name, values in load_file(out / "model.safetensors").items()
    )


@pytest.mark.parametrize("arguments", [("topk", 0.0), ("topk", 1.5), ("zip", 0.5), ("int8", 0.5), ("topk", 0.5, "fp8")])
def test_options_that_make_no_sense_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigError):
        Compression(*arguments)


def test_every_method_is_tested() -> None:
    assert {how.method for how in CASES} == set(COMPRESSIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "spiral"}, "encoding must be readable"),
        ({"values": "fp7"}, "encoding must be readable"),
        ({"shape": [-1]}, "encoding must be readable"),
        ({"shape": [2**40]}, "encoding must be readable"),
        ({"shape": [7, 4]}, "coded tensor must be readable"),
        ({"layout": "low-rank"}, "coded tensor must be readable"),
        ({"layout": "mask"}, "coded tensor must be readable"),
        ({"layout": "dense", "values": "int4"}, "coded tensor must be readable"),
        (None, "encoding must be readable"),
    ],
)
def test_a_lying_encoding_is_refused(change: Any, message: str) -> None:
    coded = encode_dense(torch.randn(6, 4), "int8")
    stored = StateDict({f"w#{part}": value for part, value in coded.parts.items()})
    entry = None if change is None else coded.describe() | change
    with pytest.raises(CheckpointError, match=message):
        _ = decoded_source(stored, json.dumps({"w": entry}))["w"]
