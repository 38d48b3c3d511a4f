"""The list of systems follows from the catalogue."""

from __future__ import annotations

from speech_analogy.inventory.systems import list_systems
from speech_analogy.systems.catalogue import DEFAULT_SYSTEMS, ENTRIES


def test_every_comparable_system_is_listed_once_in_the_order_of_reports() -> None:
    found = list_systems()
    assert {one.name for one in found} == {name for name, entry in ENTRIES.items() if entry.comparable}
    assert [one.name for one in found if one.default] == sorted(DEFAULT_SYSTEMS, key=lambda name: ENTRIES[name].place)
    places = [ENTRIES[one.name].place for one in found]
    assert places == sorted(places)
    assert all(one.explanation and (one.trained_on or one.made_of) for one in found)


def test_what_a_system_is_made_of_is_a_formula() -> None:
    found = {one.name: one for one in list_systems()}
    assert found["mixed"].trained_on == ("source_real", "target_synthetic")
    assert found["analogy"].made_of == "target_synthetic + λ (source_real − source_synthetic)"
    assert found["mean_of_mixed_and_analogy"].made_of == "mixed + 0.5 (analogy − mixed)"
    assert found["scaled_mixed"].made_of == "mixed + (λ − 1) (mixed − base)"
    assert found["analogy_of_vectors_ties"].made_of.endswith("(the source's vectors, merged by ties)")
    assert found["target_real"].needs == ("target recordings (split.field)",)
    assert not found["random_vector"].has_model
