"""The systems: each declared once, and the trainings each is made of."""

from __future__ import annotations

from typing import get_args

from speech_analogy.systems.catalogue import (
    BASE,
    BY_ADAPTER,
    COMBINATIONS,
    ENTRIES,
    MEANS,
    TRAININGS,
    VECTORS_OF,
    SystemName,
    needs_analogy,
    searched_as,
    trained_systems,
)


def test_every_system_is_declared_once_and_told_to_readers() -> None:
    declared = {"zero_shot", "analogy", *TRAININGS, *COMBINATIONS, *MEANS} - {"source_both"}
    assert declared == set(get_args(SystemName))
    assert not set(TRAININGS) & set(COMBINATIONS) | set(MEANS) & {*TRAININGS, *COMBINATIONS}
    for parts in MEANS.values():  # `scopes` and controls cannot be written as one analogy
        assert all(
            part in ("analogy", *TRAININGS)
            or (COMBINATIONS[part].chosen, COMBINATIONS[part].direction, COMBINATIONS[part].offset)
            == ("own", "difference", 0.0)
            for part in parts
        )
    assert declared <= set(ENTRIES)
    for how in COMBINATIONS.values():
        assert set(how.parts) <= {
            *TRAININGS,
            "analogy",
            BASE,
            BY_ADAPTER,
            *(f"vectors-{way}" for way in VECTORS_OF.values()),
        }
    earlier: list[str] = []
    for name, training in TRAININGS.items():
        assert training.start is None or training.start in earlier
        assert training.like is None or training.like in TRAININGS
        earlier.append(name)


def test_a_system_asks_for_the_trainings_it_is_made_of() -> None:
    abc = ["source_synthetic", "source_real", "target_synthetic"]
    assert trained_systems(("mixed_continued",)) == ["source_both", "mixed_continued"]
    assert trained_systems(("scaled_mixed",)) == ["mixed"]
    assert trained_systems(("mean_of_mixed_and_analogy",)) == [*abc, "mixed"]
    assert trained_systems(("interpolated",)) == abc == trained_systems(("random_vector",))
    assert trained_systems(("analogy_on_mixed_continued",)) == [
        "source_synthetic", "source_real", "source_both", "mixed_continued",
    ]  # fmt: skip
    frozen = "target_synthetic_frozen_encoder"
    assert trained_systems(("analogy_on_frozen_encoder",)) == [*abc[:2], frozen]
    assert trained_systems(("mean_of_mixed_and_analogy_on_frozen_encoder",)) == [*abc[:2], "mixed", frozen]
    assert trained_systems(("soup",)) == [*abc, "mixed", "source_real_then_target_synthetic", frozen]
    assert not needs_analogy(("analogy_on_mixed", "scaled_mixed", "mixed"))
    assert not needs_analogy(("mean_of_mixed_and_analogy_on_frozen_encoder",))
    assert needs_analogy(("soup",))
    assert needs_analogy(("analogy_per_scope",))
    assert [searched_as(name) for name in ("mixed", "target_synthetic_replay", "mixed_continued")] == [
        "mixed", "mixed", "source_real",
    ]  # fmt: skip
