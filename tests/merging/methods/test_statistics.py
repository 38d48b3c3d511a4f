"""Fisher averaging and RegMean: closed forms, and statistics gathered from a real module."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from speech_analogy.errors import ConfigError
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import merge_tensors
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.methods.statistics import fisher_average, gather_fisher, gather_grams, regmean
from speech_analogy.merging.tensors import StateDict

DRAW = torch.Generator().manual_seed(0)


def test_fisher_by_hand() -> None:
    weights = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0])]
    fishers = [torch.tensor([1.0, 0.0]), torch.tensor([3.0, 0.0])]
    made = fisher_average(weights, fishers, [1.0, 1.0])
    assert made.tolist() == pytest.approx([(1 * 1 + 3 * 3) / 4, 4.0], rel=1e-5)  # no information: the mean
    assert fisher_average(weights, fishers, [3.0, 1.0])[0].item() == pytest.approx((3 * 1 + 3 * 3) / 6, rel=1e-5)


def test_regmean_solves_the_least_squares_it_states() -> None:
    """Without shrinking, W minimises Σ ‖X_i Wᵀ − X_i W_iᵀ‖²: compare with lstsq on the stacked inputs."""
    inputs = [torch.randn(50, 4, generator=DRAW).double() for _ in range(3)]
    weights = [torch.randn(5, 4, generator=DRAW).double() for _ in range(3)]
    targets = torch.cat([x @ w.T for x, w in zip(inputs, weights, strict=True)])
    expected = torch.linalg.lstsq(torch.cat(inputs), targets).solution.T
    made = regmean(weights, [x.T @ x for x in inputs], [1.0] * 3, alpha=1.0)
    assert torch.allclose(made, expected, atol=1e-4)


def test_regmean_of_equal_inputs_is_the_mean_and_of_one_model_itself() -> None:
    gram = torch.eye(4) * 3
    weights = [torch.randn(5, 4, generator=DRAW) for _ in range(2)]
    assert torch.allclose(regmean(weights, [gram, gram], [1.0, 1.0]), (weights[0] + weights[1]) / 2, atol=1e-5)
    x = torch.randn(30, 4, generator=DRAW)
    assert torch.allclose(regmean(weights[:1], [x.T @ x], [1.0]), weights[0], atol=1e-4)
    assert torch.allclose(regmean(weights, None, [1.0, 3.0]), (weights[0] + 3 * weights[1]) / 4, atol=1e-6)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    found: Tensor = model(batch).square().mean()
    return found


def test_gathered_fisher_is_the_mean_squared_gradient() -> None:
    model, batches = network(), [torch.randn(1, 4, generator=DRAW) for _ in range(5)]
    found = gather_fisher(model, iter(batches), loss)
    expected = torch.zeros(6, 4)
    for batch in batches:
        model.zero_grad()
        loss(model, batch).backward()  # type: ignore[no-untyped-call]
        gradient = model[0].weight.grad
        assert gradient is not None
        expected += gradient**2 / 5
    assert torch.allclose(found["0.weight"], expected)
    assert sorted(found) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    with pytest.raises(ConfigError, match="at least one batch"):
        gather_fisher(model, [], loss)


def test_gathered_grams_are_of_the_layers_inputs() -> None:
    model, batches = network(), [torch.randn(3, 7, 4, generator=DRAW) for _ in range(2)]
    found = gather_grams(model, batches, lambda module, batch: module(batch))
    rows = torch.cat(batches).reshape(-1, 4)
    assert torch.allclose(found["0.weight"], rows.T @ rows / len(rows), atol=1e-5)
    hidden = torch.tanh(model[0](rows)).detach()
    assert torch.allclose(found["2.weight"], hidden.T @ hidden / len(rows), atol=1e-5)
    assert sorted(found) == ["0.weight", "2.weight"]


@pytest.mark.parametrize("method", ["fisher", "regmean"])
def test_they_merge_whole_models(method: str) -> None:
    models = [network(), copy.deepcopy(network())]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.add_(torch.randn(parameter.shape, generator=DRAW) * 0.1)
    data = [torch.randn(1, 4, generator=DRAW) for _ in range(20)]
    inputs = []
    for model in models:
        gathered = gather_fisher(model, data, loss) if method == "fisher" else gather_grams(model, data, loss)
        inputs.append(MergeInput(StateDict(dict(model.state_dict())), statistics=StateDict(gathered)))
    made = dict(merge_tensors(MergePlan(get_method(method), inputs)))
    one, two = (dict(model.state_dict()) for model in models)
    for name, values in made.items():
        if method == "fisher":
            assert bool((values >= torch.minimum(one[name], two[name]) - 1e-6).all())
            assert bool((values <= torch.maximum(one[name], two[name]) + 1e-6).all())
        elif name.endswith("bias"):
            assert torch.allclose(values, (one[name] + two[name]) / 2, atol=1e-6)
        assert not torch.equal(values, one[name])
