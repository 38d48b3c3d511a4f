"""Against mergekit: the same numbers to 1e-6 where definitions agree; where they differ, the difference is
stated.

mergekit (`pip install '.[mergekit]'`) runs in a process of its own: its random numbers and its mended Whisper
file are global.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from speech_analogy.merging.analogy import analogy_tensors
from speech_analogy.merging.engine.merge_file import make_plan, merge, read_merge_file
from speech_analogy.merging.engine.write import merge_tensors
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.methods.randomness import generator
from speech_analogy.merging.methods.sparsify import breadcrumbs, dare, della, magnitude
from tests.merging.conftest import State

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mergekit") is None, reason="no mergekit: pip install '.[mergekit]'"
)

LAYERS, WIDTH, INNER, VOCABULARY = 4, 16, 24, 40
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": False,
    "dtype": "float32",
}
WHISPER = {
    "architectures": ["WhisperForConditionalGeneration"],
    "model_type": "whisper",
    "d_model": WIDTH,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": INNER,
    "decoder_ffn_dim": INNER,
    "vocab_size": VOCABULARY,
    "num_mel_bins": 8,
    "max_source_positions": 20,
    "max_target_positions": 12,
    "dtype": "float32",
}


def filled(shapes: dict[str, tuple[int, ...]], seed: int) -> State:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw) * 0.3 for name, shape in shapes.items()}


def llama_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
        "lm_head.weight": (VOCABULARY, WIDTH),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        shapes |= {f"{prefix}self_attn.{letter}_proj.weight": (WIDTH, WIDTH) for letter in "qkvo"}
        shapes |= {f"{prefix}mlp.{side}_proj.weight": (INNER, WIDTH) for side in ("gate", "up")}
        shapes[f"{prefix}mlp.down_proj.weight"] = (WIDTH, INNER)
        shapes |= {f"{prefix}{name}_layernorm.weight": (WIDTH,) for name in ("input", "post_attention")}
    return shapes


def whisper_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "model.decoder.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.decoder.embed_positions.weight": (12, WIDTH),
        "model.encoder.embed_positions.weight": (20, WIDTH),
        "model.encoder.conv1.weight": (WIDTH, 8, 3),
        "model.encoder.conv1.bias": (WIDTH,),
        "model.encoder.conv2.weight": (WIDTH, WIDTH, 3),
        "model.encoder.conv2.bias": (WIDTH,),
    }
    for part, layers, attentions in (("encoder", 3, ["self_attn"]), ("decoder", 2, ["self_attn", "encoder_attn"])):
        norms = [f"model.{part}.layer_norm"]
        for layer in range(layers):
            prefix = f"model.{part}.layers.{layer}."
            norms += [f"{prefix}{attention}_layer_norm" for attention in attentions] + [f"{prefix}final_layer_norm"]
            for attention in attentions:
                for letter in ("q", "k", "v", "out"):
                    shapes[f"{prefix}{attention}.{letter}_proj.weight"] = (WIDTH, WIDTH)
                    if letter != "k":
                        shapes[f"{prefix}{attention}.{letter}_proj.bias"] = (WIDTH,)
            shapes |= {f"{prefix}fc1.weight": (INNER, WIDTH), f"{prefix}fc1.bias": (INNER,)}
            shapes |= {f"{prefix}fc2.weight": (WIDTH, INNER), f"{prefix}fc2.bias": (WIDTH,)}
        shapes |= {f"{norm}.{leaf}": (WIDTH,) for norm in norms for leaf in ("weight", "bias")}
    return shapes


W = {"weight": 0.4}
MERGES: dict[str, dict[str, Any]] = {
    "linear": {"merge_method": "linear", "own": [{"weight": 0.2}, {"weight": 1.1}, {"weight": 0.5}]},
    "linear, not normalised": {
        "merge_method": "linear",
        "own": [W, {"weight": -0.3}, W],
        "parameters": {"normalize": False},
    },
    "linear, gradients and filters": {
        "merge_method": "linear",
        "own": [
            {"weight": [0.1, 0.9, 0.4]},
            {"weight": [{"filter": "self_attn", "value": [0.0, 1.0]}, {"value": 0.5}]},
            {"weight": [{"filter": "mlp", "value": 0.7}, {"filter": "*", "value": 0.2}]},
        ],
    },
    "task arithmetic": {
        "merge_method": "task_arithmetic",
        "base": True,
        "own": [{"weight": 0.6}, {"weight": -0.6}, {"weight": 0.1}],
        "parameters": {"lambda": 0.8},
    },
    "task arithmetic, normalised": {
        "merge_method": "task_arithmetic",
        "base": True,
        "own": [{"weight": 0.6}, {"weight": 0.3}, {"weight": 0.3}],
        "parameters": {"normalize": True},
    },
    "ties": {
        "merge_method": "ties",
        "base": True,
        "own": [{"weight": 0.5, "density": 0.4}, {"weight": 1.0, "density": 0.7}, {"weight": 0.3, "density": 0.2}],
        "definitions": "mergekit",
    },
    "ties, rescaled": {
        "merge_method": "ties",
        "base": True,
        "own": [W, W, W],
        "parameters": {"density": [0.2, 0.8], "rescale": True, "normalize": False, "lambda": 1.4, "int8_mask": True},
        "definitions": "mergekit",
    },
    "magnitude trimming at density 1 is the paper's too": {
        "merge_method": "ties",
        "base": True,
        "own": [W, {"weight": 0.9}, W],
    },
    "breadcrumbs": {
        "merge_method": "breadcrumbs",
        "base": True,
        "own": [W, W, W],
        "parameters": {"density": 0.6, "gamma": 0.07},
    },
    "breadcrumbs_ties": {
        "merge_method": "breadcrumbs_ties",
        "base": True,
        "own": [W, {"weight": 0.7}, W],
        "parameters": {"density": 0.6, "gamma": 0.07},
        "definitions": "mergekit",
    },
    "dare at density 1": {"merge_method": "dare_linear", "base": True, "own": [W, W, W]},
    "della at density 1": {"merge_method": "della", "base": True, "own": [W, {"weight": 0.6}, W]},
    "model stock": {"merge_method": "model_stock", "base": True, "own": [{}, {}, {}]},
    "sce": {"merge_method": "sce", "base": True, "own": [{}, {}, {}], "parameters": {"select_topk": 0.4}},
    "sce, everything": {"merge_method": "sce", "base": True, "own": [{}, {}, {}]},
    "slerp": {
        "merge_method": "slerp",
        "base": True,
        "own": [{}],
        "parameters": {
            "t": [
                {"filter": "self_attn", "value": [0, 0.5, 0.3, 0.7, 1]},
                {"filter": "mlp", "value": [1, 0.5, 0.7, 0.3, 0]},
                {"value": 0.5},
            ]
        },
    },
}


def config_text(case: dict[str, Any], paths: list[Path]) -> str:
    base, models = paths[0], paths[1 : 1 + len(case["own"])]
    content: dict[str, Any] = {
        "merge_method": case["merge_method"],
        "models": [{"model": str(path), "parameters": own} for path, own in zip(models, case["own"], strict=True)],
        "dtype": "float32",
    }
    if case.get("base"):
        content["base_model"] = str(base)
    if "parameters" in case:
        content["parameters"] = case["parameters"]
    return yaml.safe_dump(content)


SPARSIFIED: dict[str, dict[str, Any]] = {
    "magnitude": {"method": "magnitude", "density": 0.3, "rescale": "l1", "repeats": 1},
    "outliers": {"method": "magnitude_outliers", "density": 0.5, "gamma": 0.1, "rescale": None, "repeats": 1},
    "random": {"method": "random", "density": 0.3, "rescale": "l1", "repeats": 1},
    "della": {"method": "della_magprune", "density": 0.4, "epsilon": 0.2, "rescale": None, "repeats": 3000},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models and everything mergekit made of them, in one process."""
    folder = tmp_path_factory.mktemp("mergekit")
    jobs: list[dict[str, Any]] = []
    for kind, config, shapes in (("llama", LLAMA, llama_shapes()), ("whisper", WHISPER, whisper_shapes())):
        base = filled(shapes, 0)
        for number in range(4):
            path = folder / f"{kind}{number}"
            path.mkdir()
            state = base if not number else near_like(base, number)
            save_file(state, path / "model.safetensors", metadata={"format": "pt"})
            (path / "config.json").write_text(json.dumps(config))
        paths = [folder / f"{kind}{number}" for number in range(4)]
        for name, case in MERGES.items():
            out = folder / f"out-{kind}-{name}"
            jobs.append({"kind": "merge", "config": config_text(case, paths), "out": str(out)})
    save_file({"tau": torch.randn(12, 9, generator=torch.Generator().manual_seed(5))}, folder / "tau.safetensors")
    for name, case in SPARSIFIED.items():
        where = {"tensors": str(folder / "tau.safetensors"), "out": str(folder / f"{name}.safetensors")}
        jobs.append({"kind": "sparsify", "seed": 3, **case, **where})
    (folder / "jobs.json").write_text(json.dumps(jobs))
    driver = Path(__file__).with_name("mergekit_driver.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(driver), str(folder / "jobs.json")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def near_like(base: State, seed: int) -> State:
    draw = torch.Generator().manual_seed(seed)
    return {name: values + torch.randn(values.shape, generator=draw) * 0.05 for name, values in base.items()}


@pytest.mark.parametrize("kind", ["llama", "whisper"])
@pytest.mark.parametrize("name", MERGES)
def test_the_same_merge_file_gives_the_same_model(made: Path, tmp_path: Path, kind: str, name: str) -> None:
    case = MERGES[name]
    text = config_text(case, [made / f"{kind}{number}" for number in range(4)])
    file = tmp_path / "merge.yaml"
    file.write_text(text + f"definitions: {case.get('definitions', 'paper')}\n")
    ours = load_file(merge(file, tmp_path / "out") / "model.safetensors")
    theirs = dict(open_checkpoint(made / f"out-{kind}-{name}").items())
    assert sorted(ours) == sorted(theirs)
    for tensor, values in ours.items():
        assert torch.allclose(values, theirs[tensor], rtol=0, atol=1e-6), tensor


def test_the_analogy_is_mergekit_s_task_arithmetic(made: Path, tmp_path: Path) -> None:
    """base C, B at +λ, A at −λ (first two models of the case, the third left out by weight 0.1 of itself)."""
    case = {**MERGES["task arithmetic"], "own": [{"weight": 0.6}, {"weight": -0.6}], "parameters": {}}
    c, b, a = (made / f"whisper{number}" for number in (0, 1, 2))
    file = tmp_path / "merge.yaml"
    file.write_text(config_text(case, [c, b, a]))
    by_file = dict(merge_tensors(make_plan(read_merge_file(file))))
    direct = dict(analogy_tensors(open_checkpoint(c), open_checkpoint(b), open_checkpoint(a), 0.6))
    assert all(torch.allclose(by_file[name], direct[name], rtol=0, atol=1e-6) for name in direct)


def sparsified(made: Path, name: str) -> tuple[Tensor, Tensor]:
    return load_file(made / "tau.safetensors")["tau"], load_file(made / f"{name}.safetensors")["made"]


def test_magnitude_and_outliers_are_mergekit_s(made: Path) -> None:
    tau, theirs = sparsified(made, "magnitude")
    assert torch.allclose(magnitude(tau, 0.3, rescale="l1"), theirs[0], atol=1e-6)
    tau, theirs = sparsified(made, "outliers")
    assert torch.allclose(breadcrumbs(tau, 0.5, 0.1), theirs[0], atol=1e-6)


def test_dare_with_mergekit_s_mask_and_the_difference_in_scale(made: Path) -> None:
    tau, theirs = sparsified(made, "random")

    class Mask:  # draws below the density exactly where mergekit kept an entry
        def random(self, count: int, dtype: Any) -> Any:
            return torch.where(theirs[0].reshape(-1) != 0, 0.0, 1.0).numpy().astype(dtype)

    mask: Any = Mask()
    assert torch.allclose(dare(tau, 0.3, mask, rescale="l1"), theirs[0], atol=1e-6)
    paper = dare(tau, 0.3, mask)
    kept = theirs[0] != 0
    assert torch.allclose(paper[kept], tau[kept] / 0.3)
    assert not torch.allclose(paper, theirs[0], atol=1e-3)  # mergekit restores the L1 norm instead


def test_della_keeps_with_mergekit_s_probabilities_under_ends(made: Path) -> None:
    tau, theirs = sparsified(made, "della")
    repeats = len(theirs)
    ours = torch.stack(
        [della(tau, 0.4, 0.2, generator(seed, "tau", "della"), rescale="none", ranks="ends") for seed in range(repeats)]
    )
    difference = (ours != 0).float().mean(0) - (theirs != 0).float().mean(0)
    assert difference.abs().max() < 5 * (2 * 0.25 / repeats) ** 0.5  # five standard errors
