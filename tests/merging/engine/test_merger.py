"""Merges by every method: closed forms, what must change nothing, and what the merger does with a declaration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.merging.analogy import analogy_tensors
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import merge_tensors, merge_vectors
from speech_analogy.merging.methods.combined import CONSENSUS, SPARSIFIERS
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup
from speech_analogy.merging.methods.parameters import MethodParameter, Role
from speech_analogy.merging.methods.registry import MERGE_METHODS, get_method
from speech_analogy.merging.methods.sparsify import dare
from speech_analogy.merging.scope import Setting, lines
from speech_analogy.merging.tensors import StateDict
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import State, make_state, near, same_bits

BASE = make_state(0)
MODELS = [near(BASE, seed, spread=0.1) for seed in (1, 2, 3)]
METHODS = {name: get_method(name) for name in MERGE_METHODS.names()}
DELTA_METHODS = [name for name, method in METHODS.items() if method.on == "deltas"]
SYMMETRIC = [name for name, method in METHODS.items() if method.symmetric and not method.statistics]


def merged(
    name: str,
    models: Sequence[State] = MODELS,
    base: State | None = BASE,
    own: Sequence[dict[str, Any]] | None = None,
    **parameters: Any,
) -> State:
    """A merge in memory."""
    inputs = [
        MergeInput(StateDict(model), settings={key: Setting.parse(value, key) for key, value in mine.items()})
        for model, mine in zip(models, own or [{}] * len(models), strict=True)
    ]
    settings_ = {key.rstrip("_"): Setting.parse(value, key) for key, value in parameters.items()}
    plan = MergePlan(get_method(name), inputs, None if base is None else StateDict(base), settings_)
    return dict(merge_tensors(plan))


def vectors(*seeds: int) -> list[TaskVector]:
    return [TaskVector.between(BASE, near(BASE, seed, spread=0.1)) for seed in seeds]


def test_ties_trims_over_the_whole_vector_as_the_paper_says() -> None:
    """mergekit trims each tensor by itself; then the small tensor keeps half of its entries, too."""
    base = {"large": torch.zeros(4), "small": torch.zeros(4)}
    model = {"large": torch.tensor([9.0, 8, 7, 6]), "small": torch.tensor([4.0, 3, 2, 1])}
    paper = merged("ties", [model], base, density=0.5)
    assert paper["large"].tolist() == [9, 8, 7, 6]
    assert paper["small"].tolist() == [0, 0, 0, 0]
    theirs = merged("ties", [model], base, density=0.5, trim="tensor")
    assert theirs["large"].tolist() == [9, 8, 0, 0]
    assert theirs["small"].tolist() == [4, 3, 0, 0]


def test_ties_of_one_vector_at_density_one_is_the_vector() -> None:
    tau = vectors(1)[0]
    made = merge_vectors([tau], "ties")
    assert all(torch.equal(made.tensors[name], tau.tensors[name]) for name in tau.tensors)


def test_lines_grows_from_first_to_last() -> None:
    scale = lines(BASE, 0.2, 1.0)
    assert scale("model.encoder.layers.0.fc1.weight") == pytest.approx(0.2)
    assert scale("model.encoder.layers.2.fc1.weight") == pytest.approx(0.2 + 0.8 * 2 / 5)
    assert scale("model.decoder.layers.0.fc1.weight") == pytest.approx(0.2 + 0.8 * 3 / 5)
    assert scale("model.decoder.layers.2.fc1.weight") == pytest.approx(1.0)
    assert scale("model.encoder.conv1.weight") == pytest.approx(0.2)


@pytest.mark.parametrize("name", DELTA_METHODS)
def test_models_equal_to_the_base_give_the_base_bit_for_bit(name: str) -> None:
    parameters = {"alpha": 0.5, "beta": 0.5} if name == "lines" else {}
    made = merged(name, [BASE, BASE], BASE, **parameters)
    assert all(same_bits(made[key], BASE[key]) for key in BASE)


@pytest.mark.parametrize("name", [name for name in DELTA_METHODS if name not in ("model_stock", "sce", "lines")])
def test_lambda_zero_gives_the_base_bit_for_bit(name: str) -> None:
    made = merged(name, lambda_=0.0)
    assert all(same_bits(made[key], BASE[key]) for key in BASE)


@pytest.mark.parametrize(
    "name", ["linear", "average", "ties", "sce", "tsv_merge", "model_stock", "della", "breadcrumbs+mean"]
)
def test_copies_of_one_model_give_the_model(name: str) -> None:
    model = MODELS[0]
    count = 1 if name == "tsv_merge" else 2  # TSV gives each of T copies its own subspace
    made = merged(name, [model] * count)
    assert all(torch.allclose(made[key], model[key], atol=1e-5) for key in BASE)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_order_of_inputs_changes_no_bit(name: str) -> None:
    own = [{"weight": 0.5}, {"weight": 0.8}, {"weight": 0.5}]
    if not METHODS[name].plays(Role.WEIGHT):
        own = [{}, {}, {}]
    parameters = {"density": 0.4} if METHODS[name].plays(Role.DENSITY) else {}
    parameters |= {"alpha": 0.5, "beta": 0.5} if name == "lines" else {}
    first = merged(name, own=own, **parameters)
    for order in itertools.permutations(range(3)):
        again = merged(name, [MODELS[i] for i in order], own=[own[i] for i in order], **parameters)
        assert all(same_bits(again[key], first[key]) for key in BASE), order


@pytest.mark.parametrize("name", ["dare_linear", "dare_ties", "della"])
def test_the_seed_and_nothing_else_decides_the_draw(name: str) -> None:
    one, same, other = (merged(name, density=0.4, seed=seed) for seed in (1, 1, 2))
    key = "model.decoder.embed_tokens.weight"
    assert all(same_bits(one[name_], same[name_]) for name_ in BASE)
    assert not torch.equal(one[key], other[key])
    alone = merged(name, [{key: model[key]} for model in MODELS], {key: BASE[key]}, density=0.4, seed=1)
    assert same_bits(alone[key], one[key])  # other tensors do not matter


def test_two_equal_vectors_draw_their_own_masks() -> None:
    key = "model.decoder.embed_tokens.weight"
    made = merged("dare_linear", [MODELS[0], MODELS[0]], density=0.5)
    ratio = (made[key] - BASE[key]) / (MODELS[0][key] - BASE[key])
    assert {round(value, 2) for value in ratio.reshape(-1).tolist()} == {0.0, 2.0, 4.0}


@pytest.mark.parametrize("sparsifier", SPARSIFIERS)
@pytest.mark.parametrize("consensus", CONSENSUS)
def test_every_composition_runs(sparsifier: str, consensus: str) -> None:
    parameters = {} if sparsifier == "none" else {"density": 0.5}
    made = merged(f"{sparsifier}+{consensus}", **parameters)
    assert all(bool(torch.isfinite(made[key]).all()) for key in BASE)
    assert any(not torch.equal(made[key], BASE[key]) for key in BASE)


def test_named_methods_are_their_compositions() -> None:
    for name, composed in (("ties", "magnitude+elect"), ("dare_linear", "dare+sum"), ("della", "della+elect")):
        one, two = merged(name, density=0.5), merged(composed, density=0.5)
        assert all(same_bits(one[key], two[key]) for key in BASE)


def reference(name: str, base: Tensor, tensors: list[Tensor], weights: list[float]) -> Tensor:
    """The elementwise methods in float64, in one line each."""
    deltas = [w * (tensor.double() - base.double()) for tensor, w in zip(tensors, weights, strict=True)]
    if name == "task_arithmetic":
        return base.double() + torch.stack(deltas).sum(0)
    return torch.stack([w * tensor.double() for tensor, w in zip(tensors, weights, strict=True)]).sum(0) / sum(weights)


@settings(max_examples=20, deadline=None)
@given(
    weights=st.lists(st.floats(0.05, 2), min_size=3, max_size=3), name=st.sampled_from(["task_arithmetic", "linear"])
)
def test_against_float64(weights: list[float], name: str) -> None:
    made = merged(name, own=[{"weight": weight} for weight in weights])
    for key in BASE:
        expected = reference(name, BASE[key], [model[key] for model in MODELS], weights)
        assert torch.allclose(made[key].double(), expected, atol=3e-6)


def test_interpolation_reaches_both_ends() -> None:
    for t, end in ((0.0, BASE), (1.0, MODELS[0])):
        made = merged("interpolate", [MODELS[0]], t=t)
        assert all(torch.equal(made[key], end[key]) for key in BASE)
    middle = merged("interpolate", [MODELS[0]], t=0.25)
    assert all(torch.allclose(middle[key], 0.75 * BASE[key] + 0.25 * MODELS[0][key], atol=1e-6) for key in BASE)


def test_lines_scales_by_depth() -> None:
    made = merged("lines", [MODELS[0]], alpha=0.2, beta=0.8)
    scale = lines(BASE, 0.2, 1.0)
    for key in BASE:
        assert torch.allclose(made[key], BASE[key] + scale(key) * (MODELS[0][key] - BASE[key]), atol=1e-6)


def test_the_analogy_as_a_method_has_the_same_bits() -> None:
    c, b, a = MODELS
    made = merged("analogy", [b, a], c, lambda_=0.7)
    direct = dict(analogy_tensors(c, b, a, 0.7))
    assert all(same_bits(made[key], direct[key]) for key in c)
    still = merged("analogy", [b, a], c, lambda_=0.0)
    assert all(same_bits(still[key], c[key]) for key in c)


@pytest.mark.parametrize(("name", "weight"), [("task_arithmetic", -1.0), ("negate", 1.0)])
def test_negative_weights_forget(name: str, weight: float) -> None:
    made = merged(name, [MODELS[0]], own=[{"weight": weight}])
    assert all(torch.allclose(made[key], 2 * BASE[key] - MODELS[0][key], atol=1e-6) for key in BASE)


def test_gradients_filters_and_scopes() -> None:
    weight = [{"scope": "encoder qkv", "value": 1.0}, {"filter": "decoder.layers", "value": [0.0, 0.5]}, {"value": 0.0}]
    made = merged("task_arithmetic", [MODELS[0]], own=[{"weight": weight}])
    moved = {
        "model.encoder.layers.1.self_attn.k_proj.weight": 1.0,
        "model.encoder.layers.1.fc1.weight": 0.0,
        "model.decoder.layers.0.fc1.weight": 0.0,
        "model.decoder.layers.1.fc1.weight": 0.25,
        "model.decoder.layers.2.fc1.weight": 0.5,
        "model.encoder.conv1.weight": 0.0,
    }
    for key, factor in moved.items():
        assert torch.allclose(made[key], BASE[key] + factor * (MODELS[0][key] - BASE[key]), atol=1e-6), key


def test_merged_vectors_are_vectors() -> None:
    parts = vectors(1, 2, 3)
    tau = merge_vectors(parts, "ties", parameters={"density": 0.5})
    model = merged("ties", [near(BASE, seed, spread=0.1) for seed in (1, 2, 3)], density=0.5)
    assert tau.base == parts[0].base
    assert tau.provenance.operation == "ties"
    assert len(tau.provenance.parents) == 3
    assert all(torch.allclose(BASE[key] + tau.tensors[key], model[key], atol=1e-6) for key in BASE)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tise", {}, "did you mean 'ties'"),
        ("xyz", {}, "use one of"),
        ("ties", {"dense": 0.5}, "parameters.dense: ties has no such parameter here; did you mean 'density'"),
        ("model_stock", {"density": 0.5}, "model_stock has no such parameter here; it takes no parameters"),
        ("ties", {"density": 2.0}, "must be a number from 0 to 1"),
        ("ties", {"density": "much"}, "must be a number"),
        ("ties", {"lambda_": float("nan")}, "must be a number"),
        ("ties", {"normalize": 1}, "must be true or false"),
        ("ties", {"trim": "row"}, "must be one of global, tensor"),
        ("slerp", {}, "slerp takes the base and 1 other input (found 3)"),
        ("model_stock", {"models": MODELS[:1]}, "at least 2 inputs"),
        ("ties", {"base": None}, "needs a base"),
        ("interpolate", {"models": MODELS[:1]}, "interpolate requires this parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merged(name, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["ties", "linear", "tsv_merge", "dare_ties", "breadcrumbs", "della", "sce", "iso_c"])
@pytest.mark.parametrize("density", [1.0, 0.2])
def test_nan_is_refused_by_tensor(name: str, density: float) -> None:
    parameters = {"density": density} if METHODS[name].plays(Role.DENSITY) else {}
    broken = {key: values.clone() for key, values in MODELS[1].items()}
    broken["model.encoder.conv1.weight"][0, 0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=r"model\.encoder\.conv1\.weight: weights must be finite"):
        merged(name, [MODELS[0], broken], **parameters)
    if METHODS[name].plays(Role.WEIGHT):
        with pytest.raises(CheckpointError, match=r"weights must be finite"):
            merged(name, [MODELS[0], broken], own=[{}, {"weight": 0.0}])


def test_other_shapes_are_refused_by_tensor() -> None:
    other = {**MODELS[1], "model.scalar": torch.ones(3)}
    with pytest.raises(CheckpointError, match=r"model\.scalar: the checkpoints must have the same shapes"):
        merged("linear", [MODELS[0], other])


def test_the_merger_acts_on_the_declaration_whatever_the_names() -> None:
    """Weight, scale, density, trim, seed and depth under other names have the effects of the usual ones."""

    def thin(group: TensorGroup) -> Tensor:
        kept = [dare(item.values, item.parameters["share"], item.draw()) for item in group.inputs]
        return torch.stack([delta * weight for delta, weight in zip(kept, group.weights, strict=True)]).sum(0)

    method = MergeMethod(
        "loose",
        thin,
        "deltas",
        "none",
        (
            MethodParameter("force", float, "", 1.0, per_model=True, role=Role.WEIGHT),
            MethodParameter("share", float, "", 1.0, per_model=True, role=Role.DENSITY),
            MethodParameter("strength", float, "", 1.0, role=Role.SCALE),
            MethodParameter("dice", int, "", 0, role=Role.SEED),
        ),
    )
    MERGE_METHODS.add(method.name, method)
    try:
        loose = merged("loose", own=[{"force": 0.5}, {"force": 0.0}, {"force": -1.0}], share=0.4, strength=0.7, dice=3)
    finally:
        MERGE_METHODS.remove(method.name)
    usual = merged("dare_linear", own=[{"weight": w} for w in (0.5, 0.0, -1.0)], density=0.4, lambda_=0.7, seed=3)
    assert all(torch.allclose(loose[key], usual[key], atol=1e-6) for key in BASE)


def test_a_trim_under_another_name_brings_the_threshold_of_the_whole_vector() -> None:
    thresholds: set[float | None] = set()

    def look(group: TensorGroup) -> Tensor:
        thresholds.update(item.threshold for item in group.inputs)
        return group.values[0]

    own = MethodParameter("share", float, "", 0.5, per_model=True, role=Role.DENSITY)
    over = MethodParameter("over", str, "", "global", choices=("global", "tensor"), role=Role.TRIM)
    plan = MergePlan(
        MergeMethod("look", look, "deltas", "none", (own, over)),
        [MergeInput(StateDict({"large": torch.tensor([9.0, 8, 7, 6]), "small": torch.tensor([4.0, 3, 2, 1])}))],
        StateDict({"large": torch.zeros(4), "small": torch.zeros(4)}),
    )
    assert dict(merge_tensors(plan))
    assert thresholds == {6.0}
    thresholds.clear()
    assert dict(merge_tensors(replace(plan, settings={"over": Setting.parse("tensor", "over")})))
    assert thresholds == {None}


@pytest.mark.parametrize(("definitions", "meaning"), [("paper", "expectation"), ("mergekit", "l1")])
def test_a_boolean_rescale_stands_for_whose_definitions_hold(definitions: Any, meaning: str) -> None:
    """Also inside a conditional value."""
    conditional = [{"filter": "encoder", "value": True}, {"value": True}]
    made = [
        dict(
            merge_tensors(
                MergePlan(
                    get_method("dare_linear"),
                    [MergeInput(StateDict(model)) for model in MODELS],
                    StateDict(BASE),
                    {"density": Setting.parse(0.4, "density"), "rescale": Setting.parse(value, "rescale")},
                    definitions,
                )
            )
        )
        for value in (True, conditional, meaning)
    ]
    assert all(same_bits(made[0][key], made[2][key]) and same_bits(made[1][key], made[2][key]) for key in BASE)


def test_a_method_without_weights_refuses_them() -> None:
    with pytest.raises(ConfigError, match="sce takes no weights"):
        merge_vectors(vectors(1, 2), "sce", [0.5, 0.5])
