"""Every entry of the catalogue: it has words, is made of known things, in no circle, and says what it needs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import get_args

import pytest
from pydantic import TypeAdapter

from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.systems import labels
from speech_analogy.systems.catalogue import (
    BASE,
    BY_ADAPTER,
    DEFAULT_SYSTEMS,
    ENTRIES,
    TRAININGS,
    VECTORS,
    WITHOUT_MODEL,
    SystemName,
    has_model,
    made_of,
    needs_adapters,
    needs_target_recordings,
    trained_systems,
)
from speech_analogy.systems.entries import SYSTEMS
from speech_analogy.systems.entry import Combination, Mean, SystemEntry, Training, TrainingSet
from tests.conftest import REPOSITORY

by_name = pytest.mark.parametrize("entry", SYSTEMS, ids=lambda entry: entry.name)


def _parts(entry: SystemEntry) -> tuple[str, ...]:
    """The systems that the entry names, of those that are entries."""
    made = entry.made
    if isinstance(made, Training):
        return tuple(name for name in (made.start, made.like) if name is not None)
    if isinstance(made, Combination | Mean):
        return tuple(name for name in made.parts if name not in (BASE, BY_ADAPTER) and not name.startswith(VECTORS))
    return ()


@by_name
def test_an_entry_has_words_and_is_made_of_known_things(entry: SystemEntry) -> None:
    assert entry.words.short
    assert entry.words.explanation.endswith(".")
    assert labels.described(entry.name) is entry.words
    assert labels.label(entry.name, 0.5) == f"{entry.words.short}, λ = 0.5"
    assert set(_parts(entry)) <= set(ENTRIES)
    if isinstance(entry.made, Training):
        assert set(entry.made.sets) <= set(get_args(TrainingSet))
    if entry.made is None:
        assert entry.name in ("zero_shot", "analogy")


@by_name
def test_an_entry_is_in_no_circle(entry: SystemEntry) -> None:
    reached: set[str] = set()
    waiting = list(_parts(entry))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _parts(ENTRIES[name])
    assert entry.name not in reached
    made_of(entry.name)  # ends


@by_name
def test_a_systems_trainings_come_in_an_order_in_which_they_can_be_done(entry: SystemEntry) -> None:
    done: list[str] = []
    for name in trained_systems((entry.name,)):
        assert TRAININGS[name].start in (None, *done)
        done.append(name)


def test_names_places_and_ranks_are_unique() -> None:
    for values in (
        [entry.name for entry in SYSTEMS],
        [entry.place for entry in SYSTEMS],
        [entry.rival for entry in SYSTEMS if entry.rival is not None],
    ):
        assert max(Counter(values).values()) == 1
    ordered = sorted(SYSTEMS, key=lambda entry: entry.place)
    assert [entry.words.ceiling for entry in ordered] == sorted(entry.words.ceiling for entry in ordered)
    assert labels.RIVALS == ("target_synthetic", "mixed", "source_real", "zero_shot")
    assert labels.place("unheard_of") == labels.place("analogy") - 0.5


def test_a_recipe_can_name_exactly_the_comparable_ones() -> None:
    names = get_args(SystemName)
    assert set(names) == set(ENTRIES) - {"source_both"}
    assert names[:8] == DEFAULT_SYSTEMS == Recipe.model_fields["systems"].default
    assert TypeAdapter(tuple[SystemName, ...]).validate_python(list(names)) == names
    assert not {entry.name for entry in SYSTEMS if entry.default and not entry.comparable}


def test_needs_follow_from_what_a_system_is_made_of() -> None:
    assert [name for name in ENTRIES if needs_target_recordings(name)] == ["target_real", "all_real"]
    assert [name for name in ENTRIES if needs_adapters(name)] == ["analogy_by_adapter"]
    assert WITHOUT_MODEL == ("zero_shot", "random_vector", "shuffled_vector")
    assert has_model("analogy")
    assert has_model("soup")


NEW_BASELINE = """
from speech_analogy.systems import entries
from speech_analogy.systems.entry import Mean, SystemEntry, SystemWords

words = SystemWords("Mean of mixed and B", "Halfway between the weights of the mixed model and of B.")
entries.SYSTEMS += (SystemEntry("mean_of_mixed_and_source_real", 231, Mean(("mixed", "source_real")), words),)

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.systems.catalogue import has_model, trained_systems
from speech_analogy.systems.labels import label

name = "mean_of_mixed_and_source_real"
recipe, _ = load_recipe("recipes/phone_line", [f"systems=[{name}]", f"publish={name}"])
print(recipe.systems, trained_systems(recipe.systems), has_model(name), label(name), sep="; ")
"""


def test_a_new_baseline_is_one_entry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEW_BASELINE], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.stdout == (
        "('mean_of_mixed_and_source_real',); ['source_real', 'mixed']; True; Mean of mixed and B\n"
    ), done.stderr
