"""Systems as sums of trained models: the weights by hand, and what no sum can say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.systems.catalogue import ENTRIES, TRAININGS
from speech_analogy.systems.sums import is_sum, made_of_trainings, shares_of, takes_scale

SUMS = sorted(name for name in ENTRIES if is_sum(name))

# system, λ -> weights, worked out by hand from D = C + λ(B − A).
BY_HAND = [
    ("analogy", 0.5, {"target_synthetic": 1.0, "source_real": 0.5, "source_synthetic": -0.5}),
    ("addition", 0.25, {"target_synthetic": 1.0, "source_real": 0.25, "base": -0.25}),
    ("addition", 1.0, {"target_synthetic": 1.0, "source_real": 1.0, "base": -1.0}),
    (
        "mean_of_mixed_and_analogy",
        0.75,
        {"mixed": 0.5, "target_synthetic": 0.5, "source_real": 0.375, "source_synthetic": -0.375},
    ),
    (
        "mean_of_mixed_and_addition",
        0.5,
        {"mixed": 0.5, "target_synthetic": 0.5, "source_real": 0.25, "base": -0.25},
    ),
    ("mean_of_mixed_and_target_synthetic", 0.5, {"mixed": 0.5, "target_synthetic": 0.5}),
    ("analogy_on_mixed", 2.0, {"mixed": 1.0, "source_real": 2.0, "source_synthetic": -2.0}),
    ("scaled_mixed", 0.75, {"mixed": 0.75, "base": 0.25}),
    ("zero_shot", 0.5, {"base": 1.0}),
    ("mixed", 0.5, {"mixed": 1.0}),
]


@pytest.mark.parametrize(("system", "scale", "expected"), BY_HAND)
def test_weights_by_hand(system: str, scale: float, expected: dict[str, float]) -> None:
    assert shares_of(system, scale) == pytest.approx(expected)


@given(system=st.sampled_from(SUMS), scale=st.floats(-2, 2))
def test_weights_sum_to_one(system: str, scale: float) -> None:
    assert sum(shares_of(system, scale).values()) == pytest.approx(1.0)


def test_which_systems_have_a_scale() -> None:
    assert takes_scale("mean_of_mixed_and_analogy")
    assert takes_scale("addition")
    assert not takes_scale("mean_of_mixed_and_target_synthetic")
    assert not takes_scale("zero_shot")


@pytest.mark.parametrize("system", ["random_vector", "analogy_per_scope", "analogy_of_vectors_ties", "interpolated"])
def test_what_is_no_sum_has_no_weights(system: str) -> None:
    assert not is_sum(system)
    with pytest.raises(ValueError, match=f"{system} is not a sum"):
        shares_of(system)


def test_trainings_of_a_sum_in_an_order_in_which_they_can_be_done() -> None:
    order = list(TRAININGS)
    for system in SUMS:
        places = [order.index(name) for name in made_of_trainings(system)]
        assert places == sorted(places)
    assert set(made_of_trainings("mean_of_mixed_and_addition")) == {"mixed", "target_synthetic", "source_real"}
