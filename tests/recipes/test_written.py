"""Every recipe in `recipes/` is one: its keys and values are those of a recipe, whatever data are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.adaptation.recipe import load_recipe
from tests.conftest import REPOSITORY

WRITTEN = sorted((REPOSITORY / "recipes").glob("*/*.yaml"))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_is_one(path: Path) -> None:
    recipe, _ = load_recipe(path, data=None)
    assert recipe.base
    assert recipe.systems
