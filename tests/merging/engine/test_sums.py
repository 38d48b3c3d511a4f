"""The fast path of sums: the bits of the general path, the same model whatever the base, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.arithmetic import shift_in_place, shifted
from speech_analogy.merging.engine.merger import MergeInput, MergePlan, Merger
from speech_analogy.merging.engine.write import merge_tensors
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.scope import Setting
from speech_analogy.merging.tensors import SUM_PIECE, StateDict, pieces
from tests.merging.conftest import State, same_bits

LONG = SUM_PIECE + 17  # a whole piece and a rest
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WEIGHTS = st.sampled_from([-0.75, -0.3, 0.0, 0.25, 0.75, 1.0, 1.5])


def state(seed: int, dtype: torch.dtype, numel: int = 61) -> State:
    """Weights with zeros of both signs among them."""
    values = torch.randn(numel, generator=torch.Generator().manual_seed(seed))
    values[::7], values[1::7] = 0.0, -0.0
    return {"w": values.to(dtype)}


def plan(name: str, models: list[State], base: State | None, weights: list[float], **shared: float | bool) -> MergePlan:
    inputs = [
        MergeInput(StateDict(model, f"model {number}"), settings={"weight": Setting.parse(weight, "weight")})
        for number, (model, weight) in enumerate(zip(models, weights, strict=True))
    ]
    parsed = {key.rstrip("_"): Setting.parse(value, key) for key, value in shared.items()}
    return MergePlan(get_method(name), inputs, None if base is None else StateDict(base, "base"), parsed)


@given(
    st.sampled_from(["task_arithmetic", "linear"]),
    st.lists(WEIGHTS, min_size=1, max_size=4),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.sampled_from([61, LONG]),
)
@settings(max_examples=60, deadline=None)
def test_the_fast_path_has_the_bits_of_the_general_one(
    name: str, weights: list[float], dtype: torch.dtype, normalize: bool, numel: int
) -> None:
    if name == "linear" and not any(weights):
        return
    models = [state(seed + 1, dtype, numel) for seed in range(len(weights))]
    merger = Merger(plan(name, models, state(0, dtype, numel), weights, normalize=normalize))
    parts = [merger.result("w", start, stop, (stop - start,)) for start, stop in pieces(numel)]  # as it is written
    general = torch.cat(parts).to(dtype)
    made = dict(merge_tensors(plan(name, models, state(0, dtype, numel), weights, normalize=normalize)))
    assert same_bits(made["w"], general)


@given(st.permutations(range(3)), st.floats(0.1, 0.9))
def test_a_base_that_cancels_out_changes_nothing(order: list[int], scale: float) -> None:
    """θ_0 + τ_C + λτ_B − λτ_A is C + λ(B − A) whatever θ_0 is, and whatever the order of the models."""
    models, weights = [state(seed, torch.float32) for seed in (1, 2, 3)], [1.0, scale, -scale]
    made = [
        dict(merge_tensors(plan("task_arithmetic", [models[i] for i in order], base, [weights[i] for i in order])))
        for base in (state(8, torch.float32), state(9, torch.float32))
    ]
    c, b, a = (model["w"].double() for model in models)
    assert same_bits(made[0]["w"], made[1]["w"])
    assert torch.allclose(made[0]["w"].double(), c + scale * (b - a), atol=1e-6, rtol=0)


def test_equal_corners_give_c_bit_for_bit() -> None:
    a, c = state(1, torch.float32), state(2, torch.float32)
    made = dict(merge_tensors(plan("task_arithmetic", [c, a, a], state(0, torch.float32), [1.0, 0.75, -0.75])))
    expected = dict(merge_tensors(plan("task_arithmetic", [c], state(0, torch.float32), [1.0])))
    assert torch.equal(made["w"], c["w"])
    assert torch.allclose(expected["w"], c["w"], atol=1e-6)


def test_where_two_models_could_stand_in_the_base_stays() -> None:
    merger = Merger(
        plan("task_arithmetic", [state(1, torch.float32), state(2, torch.float32)], state(0, torch.float32), [0.5, 0.5])
    )
    assert merger.reference("w") is merger.base


def test_a_scale_counts_when_the_base_is_to_cancel_out() -> None:
    models = [state(seed, torch.float32) for seed in (1, 2)]
    whole = Merger(plan("task_arithmetic", models, state(0, torch.float32), [1.5, 0.5], lambda_=0.5))
    part = Merger(plan("task_arithmetic", models, state(0, torch.float32), [0.75, 0.25], lambda_=0.5))
    assert whole.reference("w") is not whole.base
    assert part.reference("w") is part.base


@pytest.mark.parametrize("weights", [[1.0, 0.5, -0.5], [1.0, 0.5, 0.0], [0.3, 0.3, 0.3]])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_what_is_not_finite_is_refused_and_named(weights: list[float], bad: int) -> None:
    models = [state(seed, torch.float32) for seed in (1, 2, 3)]
    models[bad]["w"][5] = math.nan
    with pytest.raises(CheckpointError, match=f"model {bad}"):
        dict(merge_tensors(plan("task_arithmetic", models, state(0, torch.float32), weights)))


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, -2.5]), min_size=1, max_size=9), st.sampled_from([1.0, 0.5, -1.0]))
def test_shifting_in_place_keeps_the_sign_of_zero(delta: list[float], scale: float) -> None:
    base, step = torch.full((len(delta),), -0.0), torch.tensor(delta)
    expected = shifted(base, step.clone(), scale)
    found = shift_in_place(base.clone(), step.clone(), scale)
    assert same_bits(found, expected)


def test_a_base_that_cancels_out_is_refused_where_it_is_not_finite() -> None:
    models, base = [state(seed, torch.float32) for seed in (1, 2, 3)], state(0, torch.float32)
    base["w"][5] = math.nan
    with pytest.raises(CheckpointError, match="base"):
        dict(merge_tensors(plan("task_arithmetic", models, base, [1.0, 0.5, -0.5])))
