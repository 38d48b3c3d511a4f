"""Recipes: every mistake is one line that names the file, the key, the rule and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.errors import ConfigError
from tests.adaptation.building import RECIPE
from tests.conftest import REPOSITORY


def _write(folder: Path, content: object) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"titel": "x"}, r"recipe\.yaml: titel: there is no such key; did you mean 'title'"),
        ({"training": {"learningrate": 1}}, r"training\.learningrate: .*did you mean 'learning_rate'"),
        ({"channel": {"options": {"nois": {}}}}, r"channel\.options\.nois: .*did you mean 'noise'"),
        ({"training": {"epochs": 0}}, r"training\.epochs: .*greater than or equal to 1 \(found 0\)"),
        ({"scale_chosen_on": ["target_dev"]}, "target_dev"),
        ({"scale_chosen_on": ["test"]}, r"scale_chosen_on\.0: .*'test'"),
        ({"scales": []}, "at least one scale"),
        ({"publish": "mixd"}, r"publish: there is no such value \(found 'mixd'\); did you mean 'mixed'"),
        ({"systems": ["analogie"]}, r"systems\.0: .*did you mean 'analogy'"),
        (
            {"scale_selection": {"strategy": "?"}},
            r"scale_selection\.strategy: there is no such value .*use one of fixed",
        ),
        ({"synthesis": {"source": {"storage": "flak"}}}, r"storage: there is no such value .*did you mean 'flac'"),
        ({"scale_selection": {"strategi": "fixed"}}, r"scale_selection\.strategi: .*did you mean 'strategy'"),
        ({"scale_selection": {"strategy": "oracle"}}, r"scale_selection\.strategy: .*'oracle'"),
        ({"scale_selection": {"compare": ["agreement"], "unlabelled": "target_dev"}}, "agreement needs target_dev"),
        ({"controls": {"replay_share": 0}}, r"controls\.replay_share"),
        ({"split": {**RECIPE["split"], "source_dev": {}}}, "either speakers or prompts"),  # type: ignore[dict-item]
        ({"split": {**RECIPE["split"], "field": None}}, "target_real"),  # type: ignore[dict-item]
        ({"systems": ["zero"]}, r"systems\.0"),
        (
            {"synthesis": {"source": {"storage": "shar"}, "target": {}}},
            r"synthesis\.source: .*storage must be flac or opus, not shar",
        ),
        ({"training_of": {"mixed": {"learning_rat": 1e-4}}}, r"training_of\.mixed\.learning_rat.*'learning_rate'"),
        ({"training_of": {"mixt": {"epochs": 1}}}, r"training_of\.mixt"),
        ({"training_of": {"mixed": {"epochs": 1}}, "search": {"learning_rates": [1e-5], "epochs": [1]}}, "one of them"),
    ],
)
def test_mistakes(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = _write(tmp_path, {**RECIPE, **change})
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "", "\0"])
def test_not_a_recipe(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        load_recipe(_write(tmp_path, content))


def test_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such recipe"):
        load_recipe(tmp_path)


def test_overrides_and_data(tmp_path: Path) -> None:
    file = _write(tmp_path, RECIPE)
    recipe, folder = load_recipe(file, ["training.epochs=7", "scales=[1]", "base=a/b"], data=tmp_path)
    assert (recipe.training.epochs, recipe.scales, recipe.base) == (7, (1.0,), "a/b")
    assert recipe.corpus.path == str(tmp_path.resolve())
    assert folder == tmp_path.resolve()
    for bad in ("epochs", "=3", "title.x=3", "x=[", "nothing=1"):
        with pytest.raises(ConfigError):
            load_recipe(file, [bad])


def test_a_system_may_be_trained_with_values_of_its_own(tmp_path: Path) -> None:
    changes = {"training": {"epochs": 3, "batch_size": 8}, "training_of": {"mixed": {"learning_rate": 1e-4}}}
    recipe, _ = load_recipe(_write(tmp_path, {**RECIPE, **changes}))
    assert recipe.training_for("source_real") == recipe.training
    assert recipe.training_for("mixed") == recipe.training.model_copy(update={"learning_rate": 1e-4})
    assert recipe.training_for("target_synthetic_replay", like="mixed") == recipe.training_for("mixed")
    assert recipe.training_for("source_real", like="target_synthetic") == recipe.training


@pytest.mark.parametrize("name", ["speechocean762", "phone_line"])
def test_recipes_are_valid(name: str) -> None:
    recipe, _ = load_recipe(REPOSITORY / "recipes" / name)
    assert "analogy" in recipe.systems
