"""Task vectors: algebra, the file, and the base they belong to."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.scope import ScopedScale
from speech_analogy.merging.vectors.task_vector import TaskVector, linear_combination
from tests.merging.conftest import make_state, near, same_bits, write_folder


def vector(seed: int, base_seed: int = 0) -> TaskVector:
    base = make_state(base_seed)
    return TaskVector.between(base, near(base, 100 + seed))


def test_a_vector_plus_its_negative_is_zero() -> None:
    tau = vector(1)
    assert (tau + (-tau)).norm() == 0.0
    assert (tau - tau).norm() == 0.0
    assert (tau * 0.0).norm() == 0.0


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-4, 4), y=st.floats(-4, 4))
def test_it_is_linear(x: float, y: float) -> None:
    one, two = vector(1), vector(2)
    made = one * x + y * two
    for name in one.tensors:
        exact = one.tensors[name].double() * x + two.tensors[name].double() * y
        assert torch.allclose(made.tensors[name].double(), exact, atol=1e-6)


def test_division_and_sum_make_the_mean() -> None:
    parts = [vector(seed) for seed in range(4)]
    mean = sum(parts) / 4
    assert isinstance(mean, TaskVector)
    expected = torch.stack([part.tensors["model.scalar"] for part in parts]).mean(0)
    assert torch.allclose(mean.tensors["model.scalar"], expected)
    with pytest.raises(ConfigError, match="zero"):
        _ = parts[0] / 0


def test_base_plus_vector_is_tuned(corners: dict[str, Path], tmp_path: Path) -> None:
    tau = TaskVector.between(corners["base"], corners["a"])
    out = load_file(tau.apply(corners["base"], tmp_path / "again") / "model.safetensors")
    tuned = load_file(corners["a"] / "model.safetensors")
    assert all(torch.allclose(out[name], tuned[name], rtol=0, atol=3e-7) for name in tuned)
    assert (tmp_path / "again" / "generation_config.json").is_file()


def test_scale_zero_is_the_base_bit_for_bit(corners: dict[str, Path], tmp_path: Path) -> None:
    tau = TaskVector.between(corners["base"], corners["a"])
    out = load_file(tau.apply(corners["base"], tmp_path / "zero", scale=0.0) / "model.safetensors")
    base = load_file(corners["base"] / "model.safetensors")
    assert all(same_bits(out[name], base[name]) for name in base)


def test_scopes_apply_where_they_say(corners: dict[str, Path], tmp_path: Path) -> None:
    tau = TaskVector.between(corners["base"], corners["a"])
    scale = ScopedScale.parse(["decoder.layers.1-2 qkv !bias=1", "encoder=0.5"])
    out = load_file(tau.apply(corners["base"], tmp_path / "scoped", scale) / "model.safetensors")
    base, tuned = (load_file(corners[key] / "model.safetensors") for key in ("base", "a"))
    moved = {"model.decoder.layers.2.self_attn.q_proj.weight": 1.0, "model.encoder.conv1.weight": 0.5}
    still = ["model.decoder.layers.0.self_attn.q_proj.weight", "model.decoder.layers.1.fc1.weight"]
    for name, factor in moved.items():
        assert torch.allclose(out[name], base[name] + factor * (tuned[name] - base[name]), atol=1e-6)
    assert all(same_bits(out[name], base[name]) for name in still)


def test_norms_cosine_and_conflict_by_hand() -> None:
    base = {"a": torch.zeros(2), "b": torch.zeros(2)}
    one = TaskVector.between(base, {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([0.0, 12.0])})
    two = TaskVector.between(base, {"a": torch.tensor([-3.0, 4.0]), "b": torch.tensor([5.0, -1.0])})
    assert one.norms() == {"a": 5.0, "b": 12.0}
    assert one.norm() == 13.0
    assert one.cosine(two) == pytest.approx((-9 + 16 - 12) / (13 * math.sqrt(51)))
    assert one.sign_conflict(two) == pytest.approx(2 / 3)  # of a0, a1 and b1; in b0 one of them is zero
    assert one.cosine(one) == pytest.approx(1.0)
    assert one.cosine(-one) == pytest.approx(-1.0)
    assert one.sign_conflict(-one) == 1.0
    assert one.cosine(one * 0.0) == 0.0


def test_saving_keeps_everything(tmp_path: Path) -> None:
    base, tuned = make_state(0), near(make_state(0), 1)
    told = {"tuned_on": "prompts", "licence": "CC-BY-4.0", "creator": "me", "metrics": {"wer": 12.5}}
    tau = TaskVector.between(base, tuned, base_name="tiny", hyper_parameters={"lr": 1e-5}, **told)
    combined = tau * 2.0 + tau
    file = combined.save(tmp_path / "v.safetensors")
    loaded = TaskVector.load(file)
    assert all(same_bits(loaded.tensors[name], combined.tensors[name]) for name in combined.tensors)
    assert loaded.base.name == "tiny"
    assert loaded.base.fingerprint == fingerprint(base)
    assert loaded.provenance == combined.provenance
    parent = loaded.provenance.parents[0].provenance.parents[0]
    assert parent.weight == 2.0
    assert parent.provenance.tuned_on == "prompts"
    assert parent.provenance.metrics == {"wer": 12.5}
    with safe_open(file, "pt") as reader:  # the safetensors library reads it too
        assert reader.metadata()["schema"] == "speech-analogy/task-vector/1"
        assert torch.equal(reader.get_tensor("model.scalar"), combined.tensors["model.scalar"])


def test_a_flipped_bit_is_found_anywhere(tmp_path: Path) -> None:
    file = vector(1).save(tmp_path / "v.safetensors")
    whole = bytearray(file.read_bytes())
    data_begin = 8 + int.from_bytes(whole[:8], "little")
    for position in (data_begin, data_begin + 1001, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="digest"):
            TaskVector.load(file)
    file.write_bytes(whole)
    assert TaskVector.load(file).norm() > 0


def test_another_base_is_refused_with_both_fingerprints(corners: dict[str, Path], tmp_path: Path) -> None:
    tau = TaskVector.between(corners["base"], corners["a"])
    own, other = (fingerprint(open_checkpoint(corners[key])) for key in ("base", "c"))
    with pytest.raises(CheckpointError) as caught:
        tau.apply(corners["c"], tmp_path / "no")
    assert own in str(caught.value)
    assert other in str(caught.value)
    assert not (tmp_path / "no").exists()
    out = tau.apply(corners["c"], tmp_path / "chat", allow_other_base=True)
    base, tuned, c = (load_file(corners[key] / "model.safetensors") for key in ("base", "a", "c"))
    name = "model.encoder.conv1.weight"
    assert torch.allclose(load_file(out / "model.safetensors")[name], c[name] + tuned[name] - base[name], atol=1e-6)


def test_vectors_of_other_bases_do_not_add() -> None:
    with pytest.raises(CheckpointError, match="one base"):
        _ = vector(1) + vector(1, base_seed=5)
    assert linear_combination([vector(1), vector(1, base_seed=5)], allow_other_base=True).norm() > 0


def test_what_a_model_was_tuned_under_is_carried(corners: dict[str, Path], tmp_path: Path) -> None:
    for corner, window in (("a", "trimmed"), ("b", "trimmed"), ("c", "full")):
        (corners[corner] / "provenance.json").write_text(json.dumps({"window": window, "language": "en"}))
    a, b, c = (TaskVector.between(corners["base"], corners[corner]) for corner in "abc")
    out = (a + b).apply(corners["base"], tmp_path / "out")
    told = json.loads((out / "provenance.json").read_text())
    assert (told["window"], told["language"]) == ("trimmed", "en")
    assert (a + c).provenance.settings == {"language": "en"}


def test_a_tuned_folder_says_where_it_comes_from(corners: dict[str, Path]) -> None:
    told = {"base": "tiny", "base_fingerprint": fingerprint(open_checkpoint(corners["base"])), "tuned_on": "x"}
    (corners["a"] / "provenance.json").write_text(json.dumps(told))
    tau = TaskVector.between(corners["base"], corners["a"])
    assert tau.base.name == "tiny"
    assert tau.provenance.tuned_on == "x"
    with pytest.raises(CheckpointError, match="must come from this base"):
        TaskVector.between(corners["b"], corners["a"])


def test_a_vector_of_some_tensors_leaves_the_others(tmp_path: Path) -> None:
    base = make_state(0)
    write_folder(tmp_path / "base", base)
    full = TaskVector.between(base, near(base, 1))
    name = "model.encoder.layers.0.self_attn.q_proj.weight"
    part = TaskVector(
        TaskVector.between({name: base[name]}, {name: base[name] + 1}).tensors, full.base, full.provenance
    )
    out = load_file(part.apply(tmp_path / "base", tmp_path / "out") / "model.safetensors")
    assert torch.allclose(out[name], base[name] + 1)
    assert all(same_bits(out[key], base[key]) for key in base if key != name)
    both = full + part
    assert torch.allclose(both.tensors[name], full.tensors[name] + part.tensors[name])


def test_what_is_no_vector_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="schema"):
        TaskVector.load(tmp_path / "x.safetensors")
    base = make_state(0)
    with pytest.raises(ConfigError, match=r"did you mean|use tuned_on"):
        TaskVector.between(base, base, tuned_one="x")
    broken = near(base, 1)
    broken["model.scalar"] = torch.tensor(float("nan"))
    with pytest.raises(CheckpointError, match=r"model\.scalar: weights must be finite"):
        TaskVector.between(base, broken).save(tmp_path / "v.safetensors")
    assert not (tmp_path / "v.safetensors").exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.safetensors"]


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    file = vector(1).save(tmp_path / "v.safetensors")
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match="exists already"):
        vector(2).save(file)
    assert file.read_bytes() == before
    vector(2).save(file, overwrite=True)
    assert file.read_bytes() != before
