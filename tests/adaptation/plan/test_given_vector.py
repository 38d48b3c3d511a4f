"""A recipe with a ready-made gap vector: what is not trained, which λ is taken, which vectors are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet
from pydantic import ValidationError

from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import split
from speech_analogy.adaptation.vector_options import GAP_SCALE
from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.adaptation.building import analogy_recipe, recipe_of


@pytest.fixture(scope="module")
def vector(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some vector of the base."""
    file = tmp_path_factory.mktemp("vector") / "gap.safetensors"
    return TaskVector.between(models["base"], models["source_real"]).save(file)


def planned(recipe: Recipe, cuts: CutSet, folder: Path, base_key: str) -> Plan:
    return Planner(recipe, folder, split(cuts, recipe), "digest", base_key).plan(folder / "run")


def test_a_and_b_are_not_trained(cuts: CutSet, vector: Path, models: dict[str, Path], tmp_path: Path) -> None:
    key = fingerprint(open_checkpoint(models["base"]))
    plan = planned(analogy_recipe(vector=str(vector), scales=[0, 1]), cuts, tmp_path, key)
    assert [name for name in plan.stages if name.startswith("finetune")] == ["finetune-target_synthetic"]
    assert plan.stages["analogy"].needs == ("finetune-target_synthetic", "gap", "choose-scale")
    assert plan.stages["choose-scale"].record == {"strategy": "fixed", "scale": GAP_SCALE}
    measured = [name for name in plan.stages if name.startswith("evaluate")]
    assert measured == ["evaluate-analogy-0", "evaluate-analogy-1", "evaluate-analogy-0.5"]
    assert all("gap" in plan.stages[name].needs for name in measured)


def test_what_else_is_compared_has_its_own_trainings(cuts: CutSet, vector: Path, tmp_path: Path) -> None:
    systems = ["source_real", "mixed", "analogy", "mean_of_mixed_and_analogy"]
    plan = planned(recipe_of(systems=systems, vector={"path": str(vector), "scale": 0.25}), cuts, tmp_path, "")
    trained = {name for name in plan.stages if name.startswith("finetune")}
    assert trained == {"finetune-source_real", "finetune-mixed", "finetune-target_synthetic"}
    assert plan.stages["choose-scale"].record["scale"] == 0.25
    assert "evaluate-analogy-0.25" in plan.stages


def test_its_name_is_its_content(cuts: CutSet, vector: Path, models: dict[str, Path], tmp_path: Path) -> None:
    def folder_of(*paths: Path) -> str:
        recipe = analogy_recipe(vector=[str(path) for path in paths])
        return planned(recipe, cuts, tmp_path, "").folder("gap").name

    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(vector.read_bytes())
    other = TaskVector.between(models["base"], models["mixed"]).save(tmp_path / "other.safetensors")
    assert folder_of(moved) == folder_of(vector) == folder_of(Path("moved.safetensors"))
    assert len({folder_of(vector), folder_of(other), folder_of(vector, other)}) == 3


def test_other_vectors_are_refused_before_any_work(
    cuts: CutSet, vector: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    recipe = analogy_recipe(vector=str(vector))
    with pytest.raises(ConfigError, match=r"gap\.safetensors.*vector.*its own base alone.*sha256:.*has sha256:another"):
        planned(recipe, cuts, tmp_path, "sha256:another")
    with pytest.raises(ConfigError, match=r"no such gap vector.*nowhere\.safetensors.*vector gap"):
        planned(analogy_recipe(vector="nowhere.safetensors"), cuts, tmp_path, "")
    model = models["base"] / "model.safetensors"
    with pytest.raises(CheckpointError, match="schema"):
        planned(analogy_recipe(vector=str(model)), cuts, tmp_path, "")
    assert not (tmp_path / "run").exists()


def test_what_it_cannot_do() -> None:
    with pytest.raises(ValidationError, match="publish: auto"):
        recipe_of(publish="auto", vector="gap.safetensors")
    with pytest.raises(ValidationError, match="no LoRA factors"):
        recipe_of(systems=["analogy_by_adapter"], training={"lora": {"rank": 2}}, vector="gap.safetensors")
