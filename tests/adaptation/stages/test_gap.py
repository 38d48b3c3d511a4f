"""The two models that stand for B and A where their difference is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from speech_analogy.adaptation.stages.gap import gap_stage
from speech_analogy.adaptation.stages.params.model_params import GapParams
from speech_analogy.errors import CheckpointError
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.adaptation.building import loaded, moved, work_of


def params(base: Path, *files: Path) -> GapParams:
    return GapParams(base=str(base), base_key="", files=tuple(map(str, files)), digests=("",) * len(files))


def test_their_difference_is_the_mean_of_the_vectors(models: dict[str, Path], tmp_path: Path) -> None:
    base = models["base"]
    files = [
        TaskVector.between(base, models[name]).save(tmp_path / f"{name}.safetensors")
        for name in ("source_real", "mixed")
    ]
    work = work_of(tmp_path / "gap", params(base, *files), {})
    gap_stage(work)
    minus = load_file(work.folder / "minus/model.safetensors")
    start = loaded(models, "base")
    real, mixed, c = (loaded(models, name) for name in ("source_real", "mixed", "target_synthetic"))
    made = analogy(models["target_synthetic"], work.folder / "plus", work.folder / "minus", 0.5, tmp_path / "d")
    d = load_file(made / "model.safetensors")
    for name, weights in start.items():
        assert torch.equal(minus[name], weights)
        expected = c[name] + 0.5 * ((real[name] + mixed[name]) / 2 - weights)
        torch.testing.assert_close(d[name], expected, atol=1e-6, rtol=0)


def test_it_is_made_again_where_a_killed_run_left_something(models: dict[str, Path], tmp_path: Path) -> None:
    file = TaskVector.between(models["base"], models["mixed"]).save(tmp_path / "one.safetensors")
    work = work_of(tmp_path / "gap", params(models["base"], file), {})
    (work.folder / "minus").mkdir()
    (work.folder / "minus/half").write_text("")
    gap_stage(work)
    gap_stage(work)
    assert not (work.folder / "minus/half").exists()


def test_a_vector_of_another_base_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    other = moved(models["base"], tmp_path / "other", 77)
    file = TaskVector.between(other, models["mixed"]).save(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="own base"):
        gap_stage(work_of(tmp_path / "gap", params(models["base"], file), {}))
