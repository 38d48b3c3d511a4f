"""Sparsifiers against hand computations and expectations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_analogy.errors import ConfigError
from speech_analogy.merging.methods.randomness import content_key, generator
from speech_analogy.merging.methods.sparsify import breadcrumbs, dare, della, magnitude

TAU = torch.tensor([0.1, -0.5, 0.3, -0.2, 0.4])


def draw(seed: int) -> Any:
    return generator(seed, "w", "test")


def test_magnitude_by_hand() -> None:
    assert magnitude(TAU, 0.4).tolist() == torch.tensor([0, -0.5, 0, 0, 0.4]).tolist()
    assert magnitude(TAU, 1.0) is TAU
    assert magnitude(TAU, 0.0).tolist() == [0] * 5
    assert magnitude(TAU, 0.4, threshold=0.3).tolist() == torch.tensor([0, -0.5, 0.3, 0, 0.4]).tolist()
    rescaled = magnitude(TAU, 0.4, rescale="l1")
    assert rescaled.abs().sum().item() == pytest.approx(1.5)
    assert rescaled[1].item() == pytest.approx(-0.5 * 1.5 / 0.9)


def test_equal_magnitudes_stay_together() -> None:
    assert magnitude(torch.tensor([1.0, -1.0, 0.5]), 0.34).tolist() == [1.0, -1.0, 0.0]


def test_breadcrumbs_by_hand() -> None:
    tau = torch.arange(1.0, 11.0)
    assert breadcrumbs(tau, 0.5, 0.2).nonzero().reshape(-1).tolist() == [3, 4, 5, 6, 7]  # 9, 10 and 1 to 3 go
    assert breadcrumbs(tau, 0.9, 0.5).nonzero().reshape(-1).tolist() == list(range(9))  # density goes first
    assert breadcrumbs(tau, 0.5, 0.0).nonzero().reshape(-1).tolist() == [5, 6, 7, 8, 9]
    assert breadcrumbs(torch.arange(1.0, 6.0), 0.4, 0.01).count_nonzero() == 2  # gamma·n < 1 drops no outlier


def test_dare_has_the_vector_as_its_expectation() -> None:
    tau = torch.randn(200, generator=torch.Generator().manual_seed(0))
    repeats, density = 4000, 0.3
    made = dare(tau.expand(repeats, 200), density, draw(0))
    error = made.mean(0) - tau
    deviation = tau.abs() * ((1 - density) / density / repeats) ** 0.5
    assert bool((error.abs() <= 5 * deviation + 1e-6).all())
    values = made[made != 0] / tau.expand_as(made)[made != 0]
    assert torch.allclose(values, torch.full_like(values, 1 / density))
    assert (made != 0).float().mean().item() == pytest.approx(density, abs=0.003)


@pytest.mark.parametrize("ranks", ["middle", "ends"])
def test_della_probabilities_by_rank(ranks: Any) -> None:
    row = torch.tensor([[0.4, -0.1, 0.3, -0.2]])
    repeats, density, epsilon = 6000, 0.5, 0.3
    kept = della(row.expand(repeats, 4), density, epsilon, draw(0), rescale="none", ranks=ranks)  # rows are independent
    found = (kept != 0).float().mean(0)
    # magnitudes 0.1 < 0.2 < 0.3 < 0.4 get equal steps; in the middles of four steps of 0.15, or from end to end
    expected = {"middle": [0.275, 0.425, 0.575, 0.725], "ends": [0.2, 0.4, 0.6, 0.8]}[ranks]
    for position, rank in enumerate([3, 0, 2, 1]):
        assert found[position].item() == pytest.approx(expected[rank], abs=0.035)


def test_della_has_the_vector_as_its_expectation() -> None:
    tau = torch.randn(20, generator=torch.Generator().manual_seed(1))
    repeats = 10000
    made = della(tau.expand(repeats, 20), 0.5, 0.2, draw(0))
    assert bool(((made.mean(0) - tau).abs() <= 5 * tau.abs() * (0.7 / 0.3 / repeats) ** 0.5 + 1e-6).all())


@settings(max_examples=30, deadline=None)
@given(density=st.floats(0, 1), n=st.integers(0, 40), seed=st.integers(0, 5))
def test_what_stays_is_the_entry_or_zero(density: float, n: int, seed: int) -> None:
    tau = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    for made in (
        magnitude(tau, density),
        breadcrumbs(tau, density, 0.1),
        dare(tau, density, draw(seed), rescale="none"),
    ):
        assert made.shape == tau.shape
        assert bool(((made == 0) | (made == tau)).all())
    kept = magnitude(tau, density)
    if kept.count_nonzero() and kept.count_nonzero() < n:
        assert kept[kept != 0].abs().min() >= tau[kept == 0].abs().max()


@pytest.mark.parametrize("density", [-0.1, 1.1, float("nan")])
def test_a_density_is_a_share(density: float) -> None:
    with pytest.raises(ConfigError, match="density"):
        magnitude(TAU, density)


def test_della_refuses_probabilities_beyond_one() -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        della(TAU, 0.9, 0.2, draw(0))


def test_random_numbers_hang_on_seed_vector_and_tensor_only() -> None:
    def first(*key: Any) -> float:
        return float(generator(*key).random())

    same = {first(1, "w", b"v"), first(1, "w", b"v")}
    other = {first(2, "w", b"v"), first(1, "x", b"v"), first(1, "w", b"u")}
    assert len(same) == 1
    assert len(same | other) == 4
    assert content_key(TAU) == content_key(TAU.clone().reshape(1, 5)) != content_key(TAU, 1)
