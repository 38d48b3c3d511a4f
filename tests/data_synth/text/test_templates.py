"""Templates: counts in closed form, everything used, the same sample every time, mistakes told."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.text.templates import expand_templates, parse_template, read_slots
from data_synth.text.texts import Text
from speech_analogy.errors import DataError

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def slots_of(sizes: list[int]) -> dict[str, list[str]]:
    return {f"s{slot}": [f"v{slot}-{value}" for value in range(size)] for slot, size in enumerate(sizes)}


def template_of(sizes: list[int], verb: str = "play") -> Text:
    return Text.of(" ".join([verb, *(f"{{s{slot}}}" for slot in range(len(sizes)))]), "d")


@settings(deadline=None, max_examples=40)
@given(SIZES)
def test_without_a_count_all_combinations_in_the_order_of_the_lists(sizes: list[int]) -> None:
    slots = slots_of(sizes)
    expansion = expand_templates([template_of(sizes)], slots)
    expected = [" ".join(["play", *values]) for values in itertools.product(*slots.values())]
    assert [text.text for text in expansion.texts] == expected
    assert expansion.combinations == len(expected) == math.prod(sizes)
    assert {text.domain for text in expansion.texts} == {"d"}


@settings(deadline=None, max_examples=60)
@given(st.lists(SIZES, min_size=1, max_size=3), st.integers(1, 60), st.integers(0, 5))
def test_a_sample_is_exact_distinct_stable_and_uses_everything(shapes: list[list[int]], count: int, seed: int) -> None:
    widest = max(shapes, key=len)
    slots = slots_of([max(shape[i] for shape in shapes if i < len(shape)) for i in range(len(widest))])
    templates = [template_of(shape, f"verb{number}") for number, shape in enumerate(shapes)]
    sizes = [[len(slots[f"s{slot}"]) for slot in range(len(shape))] for shape in shapes]
    total = sum(math.prod(each) for each in sizes)
    expansion = expand_templates(templates, slots, count, seed)
    said = [text.text for text in expansion.texts]
    assert len(said) == len(set(said)) == min(count, total)
    assert said == [text.text for text in expand_templates(templates, slots, count + 7, seed).texts][: len(said)]
    if count >= len(templates) + sum(map(len, slots.values())):
        assert {word for text in said for word in text.split()} >= {value for each in slots.values() for value in each}
        assert len({text.split()[0] for text in said}) == len(templates)


@given(SIZES, st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_one_template_has_used_every_value_after_its_longest_list(sizes: list[int], seed: int) -> None:
    slots = slots_of(sizes)
    said = expand_templates([template_of(sizes)], slots, max(sizes), seed).texts
    assert {word for text in said for word in text.text.split()[1:]} == {v for each in slots.values() for v in each}


def test_a_product_that_no_memory_holds_is_sampled_and_without_a_count_refused() -> None:
    slots = {f"s{slot}": [str(value) for value in range(1000)] for slot in range(8)}
    template = Text.of(" ".join(f"{{s{slot}}}" for slot in range(8)))
    assert len(expand_templates([template], slots, 1500).texts) == 1500
    with pytest.raises(DataError, match="say how many"):
        expand_templates([template], slots)


def test_places_escapes_and_duplicates() -> None:
    slots = {"city": ["york", "bath"], "a": ["x", "x y"], "b": ["y z", "z"]}

    def said(template: str) -> list[str]:
        return [text.text for text in expand_templates([Text.of(template)], slots).texts]

    assert said("{city} and {city}") == ["york and york", "bath and bath"]
    assert len(said("{city:from} to { city : home }")) == 4
    assert said("say {{city}} in {city}") == ["say {city} in york", "say {city} in bath"]
    assert said("{{{city}}}") == ["{york}", "{bath}"]
    expansion = expand_templates([Text.of("{a} {b}")], slots)
    assert [text.text for text in expansion.texts] == ["x y z", "x z", "x y y z"]
    assert str(expansion) == "3 texts of 4 combinations (1 duplicates left out); slots without a place: city"


@given(st.text(st.characters(exclude_characters="{}", codec="utf-8")))
@settings(deadline=None, max_examples=40)
def test_escaped_text_is_itself(text: str) -> None:
    words = f"{{{text}}}"
    assert parse_template(words.replace("{", "{{").replace("}", "}}")).fill({}) == " ".join(words.split())


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("play {sonk}", "did you mean 'song'?"),
        ("play {song", "character 6 of a template"),
        ("play song}", "character 10 of a template"),
        ("play {}", "character 6 of a template"),
    ],
)
def test_mistakes(template: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        expand_templates([Text.of(template)], {"song": ["a"], "artist": ["b"]})
    assert said in str(caught.value)


def test_lists_of_slots(tmp_path: Path) -> None:
    folder = tmp_path / "slots"
    folder.mkdir()
    (folder / "song.txt").write_text("Help!\n\n help! \nYesterday\n")
    (tmp_path / "s.yaml").write_text("song: [Help!, Yesterday]\nnumber: [1, 2]\n")
    (tmp_path / "s.json").write_text('{"song": ["Help!", "Yesterday"]}')
    assert read_slots(folder) == read_slots(tmp_path / "s.json") == {"song": ["Help!", "Yesterday"]}
    assert read_slots(tmp_path / "s.yaml")["number"] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.json", "{", "cannot be read"),
        ("s.yaml", "a: [", "cannot be read"),
        ("s.json", "[1]", "must map names to values"),
        ("s.json", '{"a": "b"}', "must have a list"),
        ("s.json", '{"a": [" "]}', "must have a value"),
        ("s.csv", "a", "must be .json or .yaml"),
    ],
)
def test_broken_lists(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        read_slots(tmp_path / name)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_slots(tmp_path / "none.json")
