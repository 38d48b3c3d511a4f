"""`vector gap` on the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

from lhotse import CutSet

from speech_analogy.adaptation.records.mark import DONE_FILE
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from tests.cli.conftest import Run
from tests.cli.running import fails


def test_from_a_run_to_a_vector_that_moves_the_base(
    run: Run, small_whisper: Path, noises: CutSet, tmp_path: Path
) -> None:
    for system, seed in (("source_real", 0), ("source_synthetic", 1)):
        stage = tmp_path / "run/stages" / f"finetune-{system}-0123456789ab"
        finetune(noises, small_whisper, stage / "model", FinetuneOptions(epochs=1, seed=seed), progress=False)
        (stage / DONE_FILE).write_text("{}")
    out = tmp_path / "gap.safetensors"
    made = run("vector", "gap", tmp_path / "run", "--out", out, "--speakers", "nobody", "--quiet")
    assert made.returncode == 0, made.stderr
    assert "smaller than float32" in made.stdout
    assert "nobody" in (tmp_path / "gap.md").read_text(encoding="utf-8")
    applied = run("vector", "apply", out, "--base", small_whisper, "--out", tmp_path / "moved", "--quiet")
    assert applied.returncode == 0, applied.stderr
    pair = [tmp_path / f"run/stages/finetune-source_{kind}-0123456789ab/model" for kind in ("real", "synthetic")]
    again = tmp_path / "again.safetensors"
    models = run("vector", "gap", "--real", pair[0], "--synthetic", pair[1], "--method", "fp32", "--out", again)
    assert models.returncode == 0, models.stderr
    assert TaskVector.load(again).cosine(TaskVector.load(out)) > 0.5
    shutil.rmtree(tmp_path / "run/stages")
    fails(run("vector", "gap", tmp_path / "run", "--out", tmp_path / "x.safetensors"), "run", "source_real", "adapt")
    assert not (tmp_path / "x.safetensors").exists()


def test_runs_or_models_but_not_both(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "gap.safetensors"
    for given in ((), ("--real", tmp_path), (tmp_path, "--real", tmp_path, "--synthetic", tmp_path)):
        fails(run("vector", "gap", *given, "--out", out), "either runs, or --real and --synthetic")


def test_the_list(run: Run) -> None:
    listed = run("vector", "gaps")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.strip()
