"""The commands, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from speech_analogy.cli.merging import merge_command, vector_app
from speech_analogy.errors import CheckpointError, SpeechAnalogyError
from speech_analogy.merging.vectors.task_vector import TaskVector

APP = typer.Typer()
APP.add_typer(vector_app, name="vector")
APP.command("merge")(merge_command)


def call(*arguments: object) -> str:
    done = CliRunner().invoke(APP, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_all_verbs(corners: dict[str, Path], tmp_path: Path) -> None:
    files = {corner: tmp_path / f"{corner}.safetensors" for corner in "abc"}
    for corner, file in files.items():
        call(
            "vector",
            "extract",
            "--base",
            corners["base"],
            "--tuned",
            corners[corner],
            "--out",
            file,
            "--tuned-on",
            corner,
        )
    minus = tmp_path / "minus.safetensors"
    call("vector", "negate", files["a"], "--out", minus)
    real = tmp_path / "real.safetensors"
    call("vector", "add", files["b"], minus, "--out", real, "--weight", 0.5, "--weight", 0.5)
    call("vector", "apply", real, "--base", corners["base"], "--out", tmp_path / "model", "--scale", 2, "--quiet")
    base, a, b, made = (
        load_file(f / "model.safetensors") for f in (corners["base"], corners["a"], corners["b"], tmp_path / "model")
    )
    assert all(torch.allclose(made[name], base[name] + b[name] - a[name], atol=1e-6) for name in base)
    call("vector", "average", files["a"], files["b"], "--out", tmp_path / "mean.safetensors")
    mean = TaskVector.load(tmp_path / "mean.safetensors")
    assert torch.allclose(
        mean.tensors["model.scalar"], (a["model.scalar"] + b["model.scalar"]) / 2 - base["model.scalar"]
    )
    call(
        "vector",
        "add",
        *files.values(),
        "--out",
        tmp_path / "ties.safetensors",
        "--method",
        "ties",
        "--set",
        "density=0.5",
    )
    shown = call("vector", "show", files["a"], "--largest", 3)
    assert '"tuned_on": "a"' in shown
    assert "norm:" in shown
    compared = call("vector", "compare", *files.values(), "--out", tmp_path / "compare.json")
    assert "1.0000" in compared
    assert (tmp_path / "compare.svg").read_text().startswith("<svg")
    told = call(
        "vector",
        "compress",
        real,
        "--out",
        tmp_path / "small.safetensors",
        "--method",
        "topk",
        "--keep",
        0.2,
        "--values",
        "int8",
    )
    assert "relative L2 error" in told
    call(
        "vector",
        "apply",
        tmp_path / "small.safetensors",
        "--base",
        corners["base"],
        "--out",
        tmp_path / "small",
        "--scope",
        "encoder=0.5",
    )
    (tmp_path / "merge.yaml").write_text("merge_method: linear\nmodels: [{model: a}, {model: b}]\n")
    call("merge", tmp_path / "merge.yaml", "--out", tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert all(torch.allclose(merged[name], (a[name] + b[name]) / 2, atol=1e-6) for name in merged)


def test_a_mistake_raises_one_line(corners: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        call("vector", "show", tmp_path / "nowhere")
    with pytest.raises(SpeechAnalogyError, match="KEY=VALUE"):
        call("vector", "add", tmp_path / "x", "--out", tmp_path / "y", "--set", "density")
    with pytest.raises(SpeechAnalogyError, match="density: the value must be YAML"):
        call("vector", "add", tmp_path / "x", "--out", tmp_path / "y", "--set", "density=2024-13-45")
    with pytest.raises(SpeechAnalogyError, match="must be one of"):
        call("vector", "compress", tmp_path / "x", "--out", tmp_path / "y", "--method", "zip")


def test_methods_are_listed_without_a_config() -> None:
    assert "arXiv 2306.01708" in call("merge", "--methods")


def test_a_merge_file_may_name_models_that_are_no_paths(
    corners: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speech_analogy.recognisers.weights.resolve_weights", lambda name: corners[name[-1]])
    (tmp_path / "merge.yaml").write_text("merge_method: linear\nmodels: [{model: owner/a}, {model: 'pip:b'}]\n")
    call("merge", tmp_path / "merge.yaml", "--out", tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    a, b = (load_file(corners[corner] / "model.safetensors") for corner in "ab")
    assert all(torch.allclose(merged[name], (a[name] + b[name]) / 2, atol=1e-6) for name in merged)
