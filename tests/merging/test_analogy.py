"""θ_D = θ_C + λ(θ_B − θ_A): closed forms bit for bit, a float64 reference, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from speech_analogy.cards.records import vector_facts
from speech_analogy.errors import CheckpointError
from speech_analogy.merging.analogy import analogy, analogy_tensors, shift
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import write_merge
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import make_state, near, same_bits, write_folder, write_shards

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn]


def with_signed_zeros(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for values in state.values():
        if values.numel() > 3:
            values.view(-1)[:2] = torch.tensor([0.0, -0.0]).to(values.dtype)
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0, 1.0, -0.7])
def test_a_equal_b_or_scale_zero_gives_c_bit_for_bit(dtype: torch.dtype, scale: float) -> None:
    c = with_signed_zeros(make_state(0, dtype))
    a, b = make_state(1, dtype), make_state(2, dtype)
    for plus, minus in ((a, a), (b, a) if scale == 0 else (b, b)):
        made = dict(analogy_tensors(c, plus, minus, scale))
        assert all(same_bits(made[name], c[name]) for name in c)


def test_scale_zero_and_a_equal_b_on_disk(corners: dict[str, Path], tmp_path: Path) -> None:
    for name, plus, minus, scale in (("zero", "b", "a", 0.0), ("same", "b", "b", 1.3)):
        out = analogy(corners["c"], corners[plus], corners[minus], scale, tmp_path / name)
        assert (out / "model.safetensors").read_bytes() == (corners["c"] / "model.safetensors").read_bytes() or all(
            same_bits(values, load_file(corners["c"] / "model.safetensors")[key])
            for key, values in load_file(out / "model.safetensors").items()
        )


def test_what_any_corner_was_trained_on_is_carried(corners: dict[str, Path], tmp_path: Path) -> None:
    """Recordings of B are in D, in a mean and in a vector made of D; parents do not repeat them."""
    for corner, seen in (("a", {"recordings": "aaaaaaaa", "spoken": "tttttttt"}), ("b", {"recordings": "bbbbbbbb"})):
        file = corners[corner] / "provenance.json"
        record = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps({**record, "seen": seen}))
    together = {"recordings": "aaaaaaaabbbbbbbb", "spoken": "tttttttt"}
    out = analogy(corners["c"], corners["b"], corners["a"], 0.5, tmp_path / "d")
    record = json.loads((out / "provenance.json").read_text())
    assert record["seen"] == together
    assert all("seen" not in parent for parent in record["parents"].values())
    models = [open_checkpoint(path) for path in (out, corners["c"])]
    plan = MergePlan(get_method("average"), [MergeInput(model) for model in models])
    mean = json.loads((write_merge(plan, tmp_path / "mean") / "provenance.json").read_text())
    assert mean["seen"] == together
    vector = TaskVector.between(corners["base"], tmp_path / "d")
    assert vector.provenance.settings["seen"] == together
    assert (vector + vector).provenance.settings["seen"] == together
    assert all("seen" not in parent.provenance.settings for parent in (vector + vector).provenance.parents)
    applied = vector.apply(corners["base"], tmp_path / "applied")
    assert json.loads((applied / "provenance.json").read_text())["seen"] == together
    assert "tttttttt" not in str(vector_facts("b", "f", vector.provenance))


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(-3, 3),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_against_float64(scale: float, seed: int, dtype: torch.dtype) -> None:
    base = make_state(seed, dtype)
    a, b, c = (near(base, seed + offset) for offset in (1, 2, 3))
    for name, made in analogy_tensors(c, b, a, scale):
        exact = c[name].double() + scale * (b[name].double() - a[name].double())
        assert made.dtype == dtype
        error = (made.double() - exact).abs()
        # three float32 roundings, then one to the dtype
        bound = torch.finfo(dtype).eps * exact.abs() + 4e-7 * (exact.abs() + abs(scale) * 8 + 1e-30) + 1e-7
        assert bool((error <= bound).all()), name


def test_fp64_precision_is_used_on_request() -> None:
    c, b, a = ({"w": torch.tensor([value])} for value in (1.0, 1.0 + 2**-23, 1.0))
    tiny = 2.0**-2
    wide = dict(analogy_tensors(c, b, a, tiny, precision=torch.float64, dtype=torch.float64))["w"]
    assert wide.item() == 1.0 + tiny * 2**-23


def test_it_cancels_with_its_opposite() -> None:
    c, b, a = make_state(0), make_state(1), make_state(2)
    there = dict(analogy_tensors(c, b, a, 0.5, dtype=torch.float64, precision=torch.float64))
    back = dict(analogy_tensors(there, a, b, 0.5))
    assert all(torch.allclose(back[name].float(), c[name], atol=1e-12) for name in c)


def test_order_of_keys_shards_and_threads_change_nothing(tmp_path: Path) -> None:
    base = make_state(0)
    states = {corner: near(base, seed) for seed, corner in enumerate("abc", start=1)}
    results = []
    for number, (shards, threads, limit) in enumerate([(1, 1, 10**9), (3, 4, 3000), (2, 2, 1)]):
        paths = {
            corner: write_shards(tmp_path / f"{number}{corner}", dict(reversed(state.items())), shards)
            for corner, state in states.items()
        }
        out = analogy(
            paths["c"], paths["b"], paths["a"], 0.8, tmp_path / f"out{number}", threads=threads, shard_bytes=limit
        )
        if limit < 10**9:
            index = json.loads((out / "model.safetensors.index.json").read_text())
            assert sorted(index["weight_map"]) == sorted(base)
            assert index["metadata"]["total_size"] == sum(4 * values.numel() for values in base.values())
            assert not (out / "model.safetensors").exists()
        results.append({name: values.clone() for name, values in open_checkpoint(out).items()})
    for other in results[1:]:
        assert all(same_bits(other[name], results[0][name]) for name in base)


def test_the_forms_agree(corners: dict[str, Path], tmp_path: Path) -> None:
    a, b, c = (open_checkpoint(corners[corner]) for corner in "abc")
    out = load_file(analogy(c, b, a, 0.75, tmp_path / "d") / "model.safetensors")
    tau = TaskVector.between(a, b).in_memory()
    swept = shift(dict(c.items()), tau.tensors, 0.75)
    for name, made in analogy_tensors(c, b, a, 0.75):
        assert same_bits(made, out[name])
        assert same_bits(swept[name], out[name])


def test_a_scale_for_each_tensor(corners: dict[str, Path], tmp_path: Path) -> None:
    out = analogy(
        corners["c"], corners["b"], corners["a"], lambda name: 2.0 if "encoder" in name else 0.0, tmp_path / "d"
    )
    a, b, c, d = (load_file(folder / "model.safetensors") for folder in (*(corners[key] for key in "abc"), out))
    name = "model.encoder.conv1.weight"
    assert torch.allclose(d[name], c[name] + 2 * (b[name] - a[name]), atol=1e-6)
    name = "model.decoder.layers.1.fc1.weight"
    assert same_bits(d[name], c[name])


def test_the_folder_is_complete(corners: dict[str, Path], tmp_path: Path) -> None:
    extra = corners["c"]
    (extra / "tokenizer.json").write_text("{}")
    (extra / "optimizer.pt").write_bytes(b"x")
    (extra / "trainer_state.json").write_text("{}")
    out = analogy(extra, corners["b"], corners["a"], 1.0, tmp_path / "d", dtype=torch.float16)
    assert sorted(file.name for file in out.iterdir()) == [
        ".speech-analogy",
        "README.md",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors",
        "provenance.json",
        "tokenizer.json",
    ]
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
    assert all(values.dtype == torch.float16 for values in load_file(out / "model.safetensors").values())
    assert json.loads((out / "provenance.json").read_text())["scale"] == 1.0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "base", "c", "d"]


def test_counters_are_c_s() -> None:
    c, b, a = ({"w": torch.ones(2), "bn.num_batches_tracked": torch.tensor(n)} for n in (5, 9, 2))
    made = dict(analogy_tensors(c, b, a, 1.0, dtype=torch.float16))
    assert made["bn.num_batches_tracked"].item() == 5
    assert made["bn.num_batches_tracked"].dtype == torch.int64


def refused(tmp_path: Path, *arguments: Any, **options: Any) -> str:
    """The message of the refusal; nothing may be left behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CheckpointError) as caught:
        analogy(*arguments, **options)
    assert sorted(tmp_path.rglob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("corner", ["a", "b", "c"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_nan_and_infinity_are_refused_by_file_and_tensor(
    corners: dict[str, Path], tmp_path: Path, corner: str, bad: float, scale: float
) -> None:
    name = "model.decoder.layers.1.fc1.bias"
    state = load_file(corners[corner] / "model.safetensors")
    state[name][3] = bad
    save_file(state, corners[corner] / "model.safetensors")
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], scale, tmp_path / "d")
    assert f"/{corner}: {name}: weights must be finite; element 3" in message


def test_other_names_and_shapes_are_refused(corners: dict[str, Path], tmp_path: Path) -> None:
    state = load_file(corners["b"] / "model.safetensors")
    without = {name: values for name, values in state.items() if name != "model.scalar"}
    save_file(without, corners["b"] / "model.safetensors")
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], 1.0, tmp_path / "d")
    assert "model.scalar: the checkpoints must have the same tensors" in message
    state["model.scalar"] = torch.ones(2)
    save_file(state, corners["b"] / "model.safetensors")
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], 1.0, tmp_path / "d")
    assert "model.scalar: the checkpoints must have the same shapes" in message
    assert "()" in message
    assert "(2,)" in message


def test_other_bases_are_refused_with_both_fingerprints(corners: dict[str, Path], tmp_path: Path) -> None:
    for corner, base in (("a", "sha256:one"), ("b", "sha256:one"), ("c", "sha256:two")):
        (corners[corner] / "provenance.json").write_text(json.dumps({"base": "x", "base_fingerprint": base}))
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], 1.0, tmp_path / "d")
    assert "sha256:one" in message
    assert "sha256:two" in message


def test_a_given_base_is_checked(corners: dict[str, Path], tmp_path: Path) -> None:
    found = fingerprint(open_checkpoint(corners["base"]))
    for corner in "abc":
        told = {"base": "tiny", "base_fingerprint": found, "window": "trimmed"}
        (corners[corner] / "provenance.json").write_text(json.dumps(told))
    out = analogy(corners["c"], corners["b"], corners["a"], 1.0, tmp_path / "d", base=corners["base"])
    assert json.loads((out / "provenance.json").read_text())["base_fingerprint"] == found
    assert json.loads((out / "provenance.json").read_text())["window"] == "trimmed"
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], 1.0, tmp_path / "e", base=corners["a"])
    assert found in message
    assert fingerprint(open_checkpoint(corners["a"])) in message


def test_an_existing_output_is_kept_unless_told(corners: dict[str, Path], tmp_path: Path) -> None:
    out = analogy(corners["c"], corners["b"], corners["a"], 1.0, tmp_path / "d")
    kept = (out / "model.safetensors").read_bytes()
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], 0.5, out)
    assert "exists already" in message
    assert (out / "model.safetensors").read_bytes() == kept
    analogy(corners["c"], corners["b"], corners["a"], 0.5, out, overwrite=True)
    assert (out / "model.safetensors").read_bytes() != kept
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    message = refused(tmp_path, corners["c"], corners["b"], corners["a"], 0.5, precious, overwrite=True)
    assert "not written by speech-analogy" in message


def test_a_result_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    states = {"c": 60000.0, "b": 60000.0, "a": 0.0}
    folders = {
        corner: write_folder(tmp_path / corner, {"w": torch.tensor([value], dtype=torch.float16)})
        for corner, value in states.items()
    }
    message = refused(tmp_path, folders["c"], folders["b"], folders["a"], 1.0, tmp_path / "d")
    assert "w: the result must fit into float16 (found 120000.0)" in message


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), "1"])
def test_a_scale_must_be_a_number(corners: dict[str, Path], tmp_path: Path, scale: Any) -> None:
    assert "scale" in refused(tmp_path, corners["c"], corners["b"], corners["a"], scale, tmp_path / "d")
