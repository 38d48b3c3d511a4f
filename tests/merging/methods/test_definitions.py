"""Merge methods by hand: the papers' definitions on a few numbers."""

from __future__ import annotations

import math

import pytest
import torch

from speech_analogy.merging.methods.consensus import agreeing, elect, weighted_sum
from speech_analogy.merging.methods.geometry import model_stock, sce, slerp


def test_ties_by_hand() -> None:
    """Algorithm 1 on one entry a row: trim, elect, disjoint mean."""
    one, two = torch.tensor([2.0, -1.0, 3.0, 0.0, 1.0]), torch.tensor([1.0, 4.0, -3.0, -2.0, 0.0])
    assert elect([one, two], [1, 1]).tolist() == [1, 1, 0, -1, 1]
    assert agreeing([one, two], [1.0, 1.0]).tolist() == [1.5, 4.0, 0.0, -2.0, 1.0]
    assert agreeing([one, two], [1.0, 1.0], undecided="positive").tolist() == [1.5, 4.0, 3.0, -2.0, 1.0]  # mergekit
    assert agreeing([one, two], [1.0, 1.0], normalize=False).tolist() == [3.0, 4.0, 0.0, -2.0, 1.0]
    three = torch.tensor([-0.5, -0.5, 3.0, 0.0, 0.0])
    assert elect([one, two, three], [1, 1, 1], "count").tolist() == [1, -1, 1, -1, 1]


def test_slerp_by_hand() -> None:
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    middle = slerp(one, two, 0.5)
    assert middle.tolist() == pytest.approx([math.sin(math.pi / 4), 2 * math.sin(math.pi / 4)])
    assert slerp(one, two, 0.0).tolist() == pytest.approx([1, 0])
    assert slerp(one, two, 1.0).tolist() == pytest.approx([0, 2])
    assert slerp(one, 3 * one, 0.5).tolist() == [2.0, 0.0]  # parallel: on the chord
    unit = slerp(one, torch.tensor([0.6, 0.8]), 0.3)
    assert unit.norm().item() == pytest.approx(1.0)


def test_model_stock_by_hand() -> None:
    """Two unit vectors at 60°: cosθ = ½, t = 2·½/(1 + ½) = ⅔."""
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([0.5, math.sqrt(0.75)])
    assert torch.allclose(model_stock([one, two]), (one + two) / 2 * 2 / 3)
    assert torch.allclose(model_stock([one, one, one]), one)
    assert model_stock([one, -one]).tolist() == [0.0, 0.0]  # the denominator vanishes: the base stays
    three = [torch.eye(3)[row] for row in range(3)]
    assert model_stock(three).tolist() == [0.0, 0.0, 0.0]  # at right angles t = 0


def test_sce_by_hand() -> None:
    one, two = torch.tensor([3.0, 0.0, 0.1]), torch.tensor([1.0, 2.0, 0.1])
    weights = (9.01 / (9.01 + 5.01), 5.01 / (9.01 + 5.01))
    expected = [weights[0] * 3 + weights[1] * 1, 2.0, 0.1]
    assert sce([one, two]).tolist() == pytest.approx(expected, rel=1e-6)
    half = sce([one, two], select=0.5)  # two entries vary, both by a variance of 1: ties stay together
    assert half[2].item() == 0.0


def test_weighted_sum_by_hand() -> None:
    one, two = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])
    assert weighted_sum([one, two], [2.0, 1.0]).tolist() == [5.0, 2.0]
    assert weighted_sum([one, two], [2.0, 2.0], normalize=True).tolist() == [2.0, 0.0]
    assert weighted_sum([one, two], [1.0, -1.0], normalize=True).tolist() == [-2.0, 4.0]  # weights that cancel out
