"""Vectors without direction: as long as the difference, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from speech_analogy.adaptation.stages.controls import random_like, shuffled
from tests.adaptation.building import loaded, weights_of


def _difference(models: dict[str, Path]) -> dict[str, torch.Tensor]:
    b, a = loaded(models, "source_real"), loaded(models, "source_synthetic")
    return {name: (b[name] - a[name]).flatten() for name in b}


def test_random_vector_has_the_length_of_the_difference(models: dict[str, Path]) -> None:
    for name, tau in _difference(models).items():
        drawn, again, other = random_like(0)(name, tau), random_like(0)(name, tau), random_like(1)(name, tau)
        assert drawn.dtype == tau.dtype
        torch.testing.assert_close(drawn.double().norm(), tau.double().norm(), rtol=1e-6, atol=0)
        assert torch.equal(drawn, again)
        if tau.any():
            assert not torch.equal(drawn, other)
            cosine = torch.nn.functional.cosine_similarity(drawn.double(), tau.double(), dim=0)
            assert abs(float(cosine)) < 6 / tau.numel() ** 0.5
        else:
            assert not drawn.any()
    assert not torch.equal(random_like(0)("one", torch.ones(9)), random_like(0)("other", torch.ones(9)))


def test_shuffled_vector_keeps_the_values_of_a_tensor(models: dict[str, Path]) -> None:
    for name, tau in _difference(models).items():
        made = shuffled(0)(name, tau)
        assert torch.equal(made.sort().values, tau.sort().values)
        if tau.any():
            assert not torch.equal(made, tau)
            assert not torch.equal(made, shuffled(1)(name, tau))


@pytest.mark.parametrize("system", ["random_vector", "shuffled_vector"])
def test_a_control_moves_c_as_far_as_the_analogy_does(models: dict[str, Path], system: str) -> None:
    made, c = weights_of(models, system, 0.5), loaded(models, "target_synthetic")
    for name, tau in _difference(models).items():
        moved = (made[name] - c[name]).double().norm()
        torch.testing.assert_close(moved, 0.5 * tau.double().norm(), rtol=1e-4, atol=1e-9)
    assert all(torch.equal(w, c[name]) for name, w in weights_of(models, system, 0.0).items())
