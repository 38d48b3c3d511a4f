"""Recipes that extend others: what is merged, what replaces, which folder paths belong to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from speech_analogy.adaptation.extends import merged, read_source
from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.errors import ConfigError
from tests.adaptation.building import RECIPE
from tests.conftest import REPOSITORY


def _write(file: Path, **content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.fixture
def base(tmp_path: Path) -> Path:
    changes = {"scales": [0, 1], "training": {"epochs": 3, "batch_size": 8}, "search": None}
    return _write(tmp_path / "base" / "recipe.yaml", **{**RECIPE, **changes})


def test_mappings_merge_at_every_depth_and_everything_else_replaces() -> None:
    below = {"a": {"b": {"c": 1, "d": [1, 2]}, "e": 3}, "f": {"g": 1}, "h": 1}
    above = {"a": {"b": {"c": 2, "d": [3]}}, "f": None, "h": {"i": 1}}
    assert merged(below, above) == {"a": {"b": {"c": 2, "d": [3]}, "e": 3}, "f": None, "h": {"i": 1}}
    assert below == {"a": {"b": {"c": 1, "d": [1, 2]}, "e": 3}, "f": {"g": 1}, "h": 1}


def test_a_recipe_is_the_one_it_extends_but_for_what_it_states(base: Path, tmp_path: Path) -> None:
    file = _write(tmp_path / "own" / "recipe.yaml", extends="../base/recipe.yaml", scales=[0.5], training={"epochs": 5})
    recipe, folder = load_recipe(file)
    below, _ = load_recipe(base)
    assert (recipe.scales, recipe.training.epochs, recipe.training.batch_size) == ((0.5,), 5, 8)
    changed = {"scales": True, "training": {"epochs"}, "corpus": {"path"}}
    assert recipe.model_dump(exclude=changed) == below.model_dump(exclude=changed)
    assert folder == file.parent


def test_a_chain_and_a_folder_in_place_of_a_file(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "second" / "recipe.yaml", extends="../base", title="second", training={"epochs": 4})
    file = _write(tmp_path / "third" / "other.yaml", extends="../second", training={"batch_size": 2})
    recipe, _ = load_recipe(file, ["training.batch_size=1"])
    assert (recipe.title, recipe.training.epochs, recipe.training.batch_size) == ("second", 4, 1)
    assert base.is_file()


def test_paths_are_relative_to_the_recipe_that_states_them(base: Path, tmp_path: Path) -> None:
    channel = {"noise": {"files": ["street", "/far/away"]}, "responses": "rooms"}
    middle = {"channel": {"options": channel}, "synthesis": {"source": {"channel": {"noise": {"files": "hum"}}}}}
    _write(tmp_path / "middle" / "recipe.yaml", extends="../base", **middle)
    file = _write(tmp_path / "deep" / "er" / "recipe.yaml", extends="../../middle")
    recipe, folder = load_recipe(file)
    assert (folder / recipe.corpus.path).resolve() == tmp_path / "base" / "x"
    assert recipe.channel is not None
    options = recipe.channel.options.beside(folder)
    assert options.noise is not None
    assert [path.resolve() for path in options.noise.files] == [tmp_path / "middle" / "street", Path("/far/away")]
    assert [path.resolve() for path in options.responses] == [tmp_path / "middle" / "rooms"]
    spoken = recipe.synthesis.source.channel
    assert spoken is not None
    assert spoken.noise is not None
    assert (folder / spoken.noise.files[0]).resolve() == tmp_path / "middle" / "hum"
    own = _write(tmp_path / "own" / "recipe.yaml", extends="../base", corpus={"path": "x"})
    assert load_recipe(own)[0].corpus.path == "x"
    beside = _write(base.parent / "other.yaml", extends="recipe.yaml")
    assert load_recipe(beside)[0] == load_recipe(base)[0]  # in one folder not a character changes
    assert load_recipe(own, data=tmp_path)[0].corpus.path == str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("extends", "rule"),
    [
        ("recipe.yaml", r"recipe\.yaml: extends: a recipe must not extend itself: .*recipe\.yaml -> .*recipe\.yaml$"),
        ("../second", r"extends: a recipe must not extend itself: .*own.* -> .*second.* -> .*own"),
        ("../nowhere", r"own.*extends: no such recipe \(found '../nowhere'\)"),
        (["../base"], r"own.*extends: must be the path of a recipe"),
        ("../broken.yaml", r"broken\.yaml: is not YAML"),
        ("../list.yaml", r"list\.yaml: must be a mapping"),
    ],
)
def test_what_cannot_be_extended_is_one_line(base: Path, tmp_path: Path, extends: object, rule: str) -> None:
    _write(tmp_path / "second" / "recipe.yaml", extends="../own")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "list.yaml").write_text("[1]")
    file = _write(tmp_path / "own" / "recipe.yaml", extends=extends)
    with pytest.raises(ConfigError, match=rule) as caught:
        load_recipe(file)
    assert "\n" not in str(caught.value)
    assert base.is_file()


def test_a_mistake_is_reported_in_the_file_that_states_it(base: Path, tmp_path: Path) -> None:
    _write(base, **{**RECIPE, "training": {"epochs": 0, "batch_size": 8}})
    file = _write(tmp_path / "own" / "recipe.yaml", extends="../base", training={"batch_size": 2})
    with pytest.raises(ConfigError, match=r"base/recipe\.yaml: training\.epochs"):
        load_recipe(file)
    _write(file, extends="../base", training={"epochs": 1, "batch": 2})
    with pytest.raises(ConfigError, match=r"own/recipe\.yaml: training\.batch: .*did you mean"):
        load_recipe(file)


def test_recipes_that_extend_others_state_no_more_than_what_differs() -> None:
    """What the extended recipe states already is not stated again."""
    for file in sorted((REPOSITORY / "recipes").glob("*/*.yaml")):
        own = yaml.safe_load(file.read_text(encoding="utf-8"))
        base = own.pop("extends", None)
        if base is None:
            continue
        below = read_source(file.parent / base).content
        same_folder = (file.parent / base).parent.resolve() == file.parent
        repeated = [name for name in _repeated(own, below) if same_folder or name != "corpus.path"]
        assert not repeated, f"{file.parent.name}/{file.name} repeats {', '.join(repeated)}"


def _repeated(own: dict[str, Any], below: dict[str, Any], at: str = "") -> list[str]:
    found: list[str] = []
    for key, value in own.items():
        inherited = below.get(key)
        if isinstance(value, dict) and isinstance(inherited, dict) and value:
            found += _repeated(value, inherited, f"{at}{key}.")
        elif key in below and inherited == value:
            found.append(f"{at}{key}")
    return found


def test_data_of_the_users_run_is_where_the_recipe_that_states_it_says(tmp_path: Path) -> None:
    for name in ("base", "own"):
        (tmp_path / name).mkdir()
    content = {
        "source": "nemo:speech/train.json",
        "target": {
            "texts": ["menu.txt", "more.csv:dish", {"path": "orders.txt", "slots": "slots"}],
            "test": "labelled",
            "unlabelled": "calls",
        },
    }
    (tmp_path / "base" / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "own" / "recipe.yaml").write_text("extends: ../base\ntitle: own\n", encoding="utf-8")
    recipe, folder = load_recipe(tmp_path / "own")
    source, target = recipe.user_run
    assert source.kind == "nemo"
    assert source.beside(folder) == tmp_path / "base" / "speech" / "train.json"
    assert [(one.path, one.column, one.slots) for one in target.texts] == [
        ("../base/menu.txt", None, None),
        ("../base/more.csv", "dish", None),
        ("../base/orders.txt", None, "../base/slots"),
    ]
    assert target.unlabelled == "../base/calls"
    assert target.test is not None
    assert target.test.beside(folder) == tmp_path / "base" / "labelled"
