"""Methods by name: entry points, what a program adds, combinations, and the printed list."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.merging.methods.combined import CONSENSUS, SPARSIFIERS
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup
from speech_analogy.merging.methods.parameters import MethodParameter, Role
from speech_analogy.merging.methods.registry import MERGE_METHODS, describe_methods, get_method

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def first(group: TensorGroup) -> Tensor:
    return group.values[0]


@pytest.fixture
def added() -> Iterator[MergeMethod]:
    method = MergeMethod("first", first, "weights", "none")
    MERGE_METHODS.add(method.name, method)
    yield method
    MERGE_METHODS.remove(method.name)


def test_every_entry_point_gives_the_method_of_its_name() -> None:
    group = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][MERGE_METHODS.group]
    assert set(group) <= set(MERGE_METHODS.names())
    assert [get_method(name).name for name in group] == list(group)


def test_a_program_may_add_a_method(added: MergeMethod) -> None:
    assert get_method("first") is added
    assert "first" in describe_methods()


def test_what_is_not_a_method_is_refused() -> None:
    MERGE_METHODS.add("function", first)  # type: ignore[arg-type]
    try:
        with pytest.raises(
            ConfigError, match=r"function: the entry point must name a MergeMethod \(found 'function'\)"
        ):
            get_method("function")
    finally:
        MERGE_METHODS.remove("function")


@pytest.mark.parametrize("sparsifier", SPARSIFIERS)
@pytest.mark.parametrize("consensus", CONSENSUS)
def test_every_combination_has_a_name(sparsifier: str, consensus: str) -> None:
    assert get_method(f"{sparsifier}+{consensus}").name == f"{sparsifier}+{consensus}"


@pytest.mark.parametrize("name", ["+", "dare+", "+elect", "elect+dare", "dare+elect+sum"])
def test_other_combinations_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no such merge method"):
        get_method(name)


def test_a_name_or_role_declared_twice_is_refused() -> None:
    one = MethodParameter("one", float, "", role=Role.SCALE)
    two = MethodParameter("two", float, "", role=Role.SCALE)
    with pytest.raises(ConfigError, match="declare each role once"):
        MergeMethod("twice", first, "weights", "none", (one, two))
    with pytest.raises(ConfigError, match="declare each parameter once"):
        MergeMethod("twice", first, "weights", "none", (one, MethodParameter("one", int, "")))


def test_the_list_has_every_name_source_parameter_bound_and_meaning() -> None:
    listed = describe_methods()
    for name in MERGE_METHODS.names():
        method = get_method(name)
        assert f"\n{name} " in f"\n{listed}"
        assert method.reference in listed
        assert all(parameter.meaning in listed for parameter in method.parameters)
    ties = listed[listed.index("\nties ") : listed.index("\ntsv_merge ")]
    assert re.search(r"density\* +a number from 0 to 1; default 1: share of the entries that stay", ties)
    assert re.search(r"trim +global or tensor; default global \(mergekit: tensor\)", ties)
    assert "takes differences from the base; trims, scales" in ties
    assert re.search(r"t +a number from 0 to 1; required", listed)
    assert "draws at random" in listed[listed.index("\ndare_ties ") : listed.index("\ndella ")]
    assert "dare, della, breadcrumbs + one of sum, mean, elect, count" in listed
