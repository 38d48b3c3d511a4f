"""The merge file: mergekit's forms, ours beside them, and one clear line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from speech_analogy.errors import CheckpointError, ConfigError, SpeechAnalogyError
from speech_analogy.foundation.hash_sets import packed, short_hash, unpacked
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.engine.merge_file import merge
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import make_state, near, same_bits, write_folder


def run(folder: Path, content: Any, out: str = "out") -> dict[str, torch.Tensor]:
    file = folder / "merge.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    merge(file, folder / out)
    return load_file(folder / out / "model.safetensors")


def states(corners: dict[str, Path]) -> dict[str, dict[str, torch.Tensor]]:
    return {corner: load_file(path / "model.safetensors") for corner, path in corners.items()}


def test_the_analogy_as_a_merge_file(corners: dict[str, Path], tmp_path: Path) -> None:
    made = run(
        tmp_path,
        """
        merge_method: task_arithmetic
        base_model: c
        models:
          - {model: c}
          - {model: b, parameters: {weight: 1}}
          - {model: a, parameters: {weight: -1}}
        parameters: {lambda: 0.75}
        dtype: float16
        """,
    )
    s = states(corners)
    for name, values in made.items():
        expected = s["c"][name] + 0.75 * (s["b"][name] - s["a"][name])
        assert values.dtype == torch.float16
        assert torch.allclose(values.float(), expected, atol=2e-3)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float16"
    told = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert told["merge"]["parameters"] == {"lambda": 0.75}
    assert sorted(told["parents"]) == ["base", "model 1", "model 2"]
    assert (tmp_path / "out" / "merges.txt").is_file()


def test_the_analogy_by_its_own_name(corners: dict[str, Path], tmp_path: Path) -> None:
    models = [{"model": "b"}, {"model": "a"}]
    made = run(
        tmp_path, {"merge_method": "analogy", "base_model": "c", "models": models, "parameters": {"lambda": 0.75}}
    )
    direct = load_file(analogy(corners["c"], corners["b"], corners["a"], 0.75, tmp_path / "d") / "model.safetensors")
    assert all(same_bits(made[name], direct[name]) for name in direct)


def test_out_dtype_goes_before_dtype(corners: dict[str, Path], tmp_path: Path) -> None:
    content = {"merge_method": "linear", "models": [{"model": "a"}], "dtype": "float16", "out_dtype": "bfloat16"}
    assert run(tmp_path, content)["model.scalar"].dtype == torch.bfloat16


def test_vectors_and_adapters_are_inputs_too(corners: dict[str, Path], tmp_path: Path) -> None:
    TaskVector.between(corners["base"], corners["a"]).save(tmp_path / "a.safetensors")
    content = {
        "merge_method": "ties",
        "base_model": "base",
        "models": [{"vector": "a.safetensors"}, {"model": "b"}],
        "parameters": {"density": 0.5},
    }
    by_vector = run(tmp_path, content)
    content["models"] = [{"model": "a"}, {"model": "b"}]
    by_model = run(tmp_path, content, "again")
    assert all(torch.allclose(by_vector[name], by_model[name], atol=1e-6) for name in by_model)
    content["base_model"] = "c"
    content["models"] = [{"vector": "a.safetensors"}]
    with pytest.raises(CheckpointError, match="its own base"):
        run(tmp_path, content, "third")
    content["allow_other_base"] = True
    assert run(tmp_path, content, "third")


def write_adapter(folder: Path, module: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 8, generator=draw), torch.randn(8, 2, generator=draw)
    folder.mkdir()
    tensors = {f"base_model.model.{module}.lora_A.weight": a, f"base_model.model.{module}.lora_B.weight": b}
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}))
    return a, b


def test_a_model_with_an_adapter(corners: dict[str, Path], tmp_path: Path) -> None:
    module = "model.encoder.layers.0.self_attn.q_proj"
    a, b = write_adapter(tmp_path / "lora", module, 0)
    base = states(corners)["base"]
    for number, models in enumerate([[{"model": "base+lora"}], [{"adapter": "lora"}]]):
        made = run(
            tmp_path, {"merge_method": "task_arithmetic", "base_model": "base", "models": models}, f"out{number}"
        )
        name = f"{module}.weight"
        assert torch.allclose(made[name], base[name] + 2 * (b @ a), atol=1e-5)
        assert all(same_bits(made[key], base[key]) for key in base if key != name)
        assert (tmp_path / f"out{number}" / "config.json").is_file()


def test_models_with_adapters_alone_make_a_complete_folder(corners: dict[str, Path], tmp_path: Path) -> None:
    """There was no config and no tokenizer beside the weights where no plain model was among the inputs."""
    module = "model.encoder.layers.0.self_attn.q_proj"
    write_adapter(tmp_path / "lora", module, 0)
    record = {"schema": 1, "seen": {"recordings": packed({short_hash("a recording")}), "speakers": "", "spoken": ""}}
    (corners["a"] / "provenance.json").write_text(json.dumps(record))
    for number, models in enumerate(([{"model": "a+lora"}], [{"model": "a+lora"}, {"model": "b+lora"}])):
        run(tmp_path, {"merge_method": "linear", "models": models}, f"out{number}")
        made, plain = tmp_path / f"out{number}", {file.name for file in corners["a"].iterdir()}
        assert plain <= {file.name for file in made.iterdir()}
        assert (made / "config.json").read_bytes() == (corners["a"] / "config.json").read_bytes()
        said = json.loads((made / "provenance.json").read_text())
        assert unpacked(said["seen"]["recordings"]) == {short_hash("a recording")}


def test_one_slice_over_all_layers(corners: dict[str, Path], tmp_path: Path) -> None:
    sources = [
        {"model": corner, "layer_range": [0, 3], "parameters": {"weight": w}} for corner, w in (("a", 1), ("b", 3))
    ]
    made = run(tmp_path, {"merge_method": "linear", "slices": [{"sources": sources}]})
    s = states(corners)
    name = "model.decoder.layers.2.fc1.weight"
    assert torch.allclose(made[name], (s["a"][name] + 3 * s["b"][name]) / 4, atol=1e-6)
    for source in sources:
        source["layer_range"] = [0, 2]
    with pytest.raises(ConfigError, match="layers cannot be left out"):
        run(tmp_path, {"merge_method": "linear", "slices": [{"sources": sources}]}, "again")


def test_statistics_files(corners: dict[str, Path], tmp_path: Path) -> None:
    s = states(corners)
    for corner, value in (("a", 1.0), ("b", 3.0)):
        save_file(
            {name: torch.full_like(v, value) for name, v in s[corner].items()},
            tmp_path / f"{corner}.fisher.safetensors",
        )
    models = [{"model": corner, "statistics": f"{corner}.fisher.safetensors"} for corner in "ab"]
    made = run(tmp_path, {"merge_method": "fisher", "models": models})
    name = "model.decoder.layers.2.fc1.weight"
    assert torch.allclose(made[name], (s["a"][name] + 3 * s["b"][name]) / 4, atol=1e-5)


@pytest.mark.parametrize("trim", [None, "paper", "mergekit"])
def test_definitions_decide_what_is_not_set(corners: dict[str, Path], tmp_path: Path, trim: str | None) -> None:
    content: dict[str, Any] = {
        "merge_method": "ties",
        "base_model": "base",
        "models": [{"model": "a"}, {"model": "b"}],
        "parameters": {"density": 0.3},
    }
    if trim:
        content["definitions"] = trim
    made = run(tmp_path, content)
    content["parameters"]["trim"] = "tensor" if trim == "mergekit" else "global"
    again = run(tmp_path, content, "again")
    assert all(torch.equal(made[name], again[name]) for name in made)


def test_lineage(corners: dict[str, Path], tmp_path: Path) -> None:
    own = fingerprint(open_checkpoint(corners["base"]))
    for corner in "abc":
        (corners[corner] / "provenance.json").write_text(json.dumps({"base": "x", "base_fingerprint": own}))
    content: dict[str, Any] = {"merge_method": "add", "base_model": "base", "models": [{"model": "a"}, {"model": "b"}]}
    assert run(tmp_path, content, "on the base")
    assert run(tmp_path, {**content, "base_model": "c"}, "on a sibling")  # the analogy
    write_folder(tmp_path / "stranger", make_state(77))
    with pytest.raises(CheckpointError, match="not from this base"):
        run(tmp_path, {**content, "base_model": "stranger"}, "no")
    (corners["b"] / "provenance.json").write_text(json.dumps({"base": "y", "base_fingerprint": "sha256:y"}))
    with pytest.raises(CheckpointError, match="sha256:y"):
        run(tmp_path, content, "no")


GOOD = {"merge_method": "ties", "base_model": "base", "models": [{"model": "a"}, {"model": "b"}]}
MISTAKES: dict[str, tuple[Any, str]] = {
    "no YAML": ("a: [", "must be YAML"),
    "a list": ("- a", "must be a mapping"),
    "an unknown key": ({**GOOD, "base_mdoel": "x"}, "base_mdoel: unknown key; did you mean 'base_model'?"),
    "no method": ({"models": [{"model": "a"}]}, "merge_method: the merge file must name its method"),
    "another method": ({**GOOD, "merge_method": "tiess"}, "did you mean 'ties'"),
    "models and slices": ({**GOOD, "slices": []}, "either models or slices"),
    "no models": ({**GOOD, "models": []}, "at least one model"),
    "a model without a path": ({**GOOD, "models": [{"parameters": {}}]}, "one of model, vector, adapter"),
    "an unknown key of a model": ({**GOOD, "models": [{"model": "a", "weight": 1}]}, "models[0].weight: unknown key"),
    "parameters in a list": ({**GOOD, "parameters": [1]}, "parameters must be a mapping"),
    "an unknown parameter": ({**GOOD, "parameters": {"densty": 1}}, "did you mean 'density'"),
    "a bad dtype": ({**GOOD, "dtype": "float12"}, "dtype: must be one of"),
    "a list of dtypes": ({**GOOD, "dtype": ["float16"]}, "dtype: must be one of"),
    "a precision that is only a dtype": ({**GOOD, "precision": "float16"}, "must be one of float32, float64 (found"),
    "a date that does not exist": ("merge_method: 2024-13-45", "must be YAML"),
    "a slice whose parameters are a list": (
        {"merge_method": "linear", "slices": [{"sources": [{"model": "a", "layer_range": [0, 3]}], "parameters": [1]}]},
        "slices[0].parameters: parameters must be a mapping",
    ),
    "a source whose parameters are a list": (
        {"merge_method": "linear", "slices": [{"sources": [{"model": "a", "layer_range": [0, 3], "parameters": [1]}]}]},
        "slices[0].sources[0].parameters: parameters must be a mapping",
    ),
    "an infinite seed": (
        {**GOOD, "merge_method": "dare_ties", "parameters": {"seed": float("inf")}},
        "parameters.seed: must be a whole number",
    ),
    "bad definitions": ({**GOOD, "definitions": "mine"}, "must be paper or mergekit"),
    "two slices": ({"merge_method": "linear", "slices": [{}, {}]}, "layers cannot be rearranged"),
    "a missing model": ({**GOOD, "models": [{"model": "nowhere"}]}, "no such checkpoint"),
    "a missing vector": ({**GOOD, "models": [{"vector": "nowhere"}]}, "no such checkpoint"),
    "a missing adapter": ({**GOOD, "models": [{"adapter": "nowhere"}]}, "adapter_config.json"),
    "a shared parameter on a model": ({**GOOD, "models": [{"model": "a", "parameters": {"lambda": 2}}]}, "a.lambda"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(corners: dict[str, Path], tmp_path: Path, case: str) -> None:
    content, message = MISTAKES[case]
    with pytest.raises(SpeechAnalogyError) as caught:
        run(tmp_path, content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_merge_across_architectures_is_refused(corners: dict[str, Path], tmp_path: Path) -> None:
    other = near(make_state(0), 5)
    other["model.decoder.embed_tokens.weight"] = torch.zeros(38, 8)
    write_folder(tmp_path / "larger", other)
    with pytest.raises(CheckpointError, match=r"embed_tokens\.weight: the checkpoints must have the same shapes"):
        run(tmp_path, {**GOOD, "models": [{"model": "larger"}]})
