"""Systems made of finished models: closed forms of their weights, and the choice of λ on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lhotse import CutSet

from speech_analogy.adaptation.recipe import Strategy
from speech_analogy.adaptation.stages.made_models import written_stage
from speech_analogy.adaptation.stages.params.base import CHOICE_FILE, CURVE_FILE, MODEL_FOLDER, SCORE_FILE, Output
from speech_analogy.adaptation.stages.params.evaluation_params import (
    CombinedParams,
    PickParams,
    ScopesParams,
    SweepParams,
)
from speech_analogy.adaptation.stages.params.model_params import WrittenParams
from speech_analogy.adaptation.stages.sweeps import combined_stage, pick_stage, scopes_stage, sweep_stage
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.evaluation.results import read_hypotheses
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.systems.catalogue import (
    BASE,
    COMBINATIONS,
)
from tests.adaptation.building import DEV, EVALUATION, loaded, model_of, weights_of, work_of


@pytest.mark.parametrize(
    ("system", "whole"),
    [
        ("interpolated", "analogy"),
        ("scaled_source_real", "source_real"),
        ("scaled_target_synthetic", "target_synthetic"),
        ("scaled_mixed", "mixed"),
    ],
)
def test_a_step_of_one_is_the_model_and_of_zero_the_base(models: dict[str, Path], system: str, whole: str) -> None:
    one, zero, half = (weights_of(models, system, scale) for scale in (1.0, 0.0, 0.5))
    tuned, base = loaded(models, whole), loaded(models, BASE)
    for name in base:
        assert torch.equal(one[name], tuned[name])
        torch.testing.assert_close(zero[name], base[name], atol=1e-7, rtol=0)
        torch.testing.assert_close(half[name], (tuned[name] + base[name]) / 2, atol=1e-7, rtol=0)


def test_mean_is_halfway(models: dict[str, Path]) -> None:
    how = COMBINATIONS["mean_of_mixed_and_analogy"]
    assert how.fixed is not None
    made = weights_of(models, "mean_of_mixed_and_analogy", how.fixed)
    mixed, moved = loaded(models, "mixed"), loaded(models, "analogy")
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, (mixed[name] + moved[name]) / 2, atol=1e-7, rtol=0)


@pytest.mark.parametrize("start", ["mixed", "mixed_continued"])
def test_the_vector_is_added_to_another_model(models: dict[str, Path], start: str) -> None:
    made = weights_of(models, f"analogy_on_{start}", 0.5)
    begun, b, a = (loaded(models, name) for name in (start, "source_real", "source_synthetic"))
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, begun[name] + 0.5 * (b[name] - a[name]), atol=1e-6, rtol=0)
    same = weights_of({**models, "source_synthetic": models["source_real"]}, f"analogy_on_{start}", 0.5)
    assert all(torch.equal(same[name], begun[name]) for name in same)


def _params(system: str, models: dict[str, Path], **more: Any) -> dict[str, Any]:
    how = COMBINATIONS[system]
    corners = tuple(None if name == BASE else model_of(f"finetune-{name}") for name in (how.c, how.plus, how.minus))
    params = {"system": system, "evaluation": EVALUATION, "language": "en", "cuts": DEV}
    return {**params, "corners": corners, "offset": how.offset, "base": str(models[BASE]), **more}


def test_a_scaled_system_hears_what_the_model_itself_hears(
    models: dict[str, Path], inputs: dict[str, Path], noises: CutSet, tmp_path: Path
) -> None:
    work = work_of(tmp_path / "out", CombinedParams(**_params("scaled_source_real", models, scale=1.0)), inputs)
    combined_stage(work)
    alone = evaluate(noises, models["source_real"], decoding=DecodingOptions(window="trimmed"), progress=False)
    assert read_hypotheses(work.folder / "hypotheses.jsonl") == alone.hypotheses
    system = json.loads((work.folder / SCORE_FILE).read_text())["system"]
    assert (system["name"], system["scale"], system["wer"]) == ("scaled_source_real", 1.0, alone.system.wer)


@pytest.mark.parametrize("system", [name for name, how in COMBINATIONS.items() if how.direction == "difference"])
def test_a_system_is_written_with_the_weights_that_are_heard(
    models: dict[str, Path], system: str, tmp_path: Path
) -> None:
    how = COMBINATIONS[system]
    made = {name: models.get(name, models["mixed_continued"]) for name in how.parts}  # vectors, adapters: any model
    inputs = {}
    for name in set(made) - {BASE}:
        inputs[name] = tmp_path / "in" / name
        inputs[name].mkdir(parents=True)
        (inputs[name] / MODEL_FOLDER).symlink_to(made[name])
    c, plus, minus = (None if name == BASE else model_of(name) for name in (how.c, how.plus, how.minus))
    params = WrittenParams(corners=(c, plus, minus), offset=how.offset, base=str(models[BASE]), scale=0.75)
    work = work_of(tmp_path / "out", params, inputs)
    written_stage(work)
    written = open_checkpoint(work.folder / MODEL_FOLDER)
    heard = weights_of({**models, **made}, system, 0.75)
    assert set(written) == set(heard)
    for name, tensor in heard.items():
        torch.testing.assert_close(written[name], tensor, atol=1e-7, rtol=0)
    WhisperRecogniser(work.folder / MODEL_FOLDER)


def test_choice_by_curves_agreement_and_scopes(
    models: dict[str, Path], inputs: dict[str, Path], tmp_path: Path
) -> None:
    """A sweep is evaluated, λ is chosen from it by WER and by agreement, and a search by scope starts there."""
    swept = SweepParams(**_params("analogy_per_scope", models, scales=(0.0, 1.0), domains=("a",)))
    sweep = work_of(tmp_path / "sweep", swept, inputs)
    sweep_stage(sweep)
    rows = json.loads((sweep.folder / CURVE_FILE).read_text())
    assert [row["scale"] for row in rows] == [0.0, 1.0]
    assert all(len(row["heard"]) == 12 for row in rows)  # half of the noises are of domain a
    chosen = {}
    strategies: tuple[Strategy, ...] = ("leave_one_domain_out", "agreement", "fixed")
    for strategy in strategies:
        picked = PickParams(strategy=strategy, sweeps=((Output("sweep", CURVE_FILE), "a"),), scale=0.3)
        pick = work_of(tmp_path / strategy, picked, {"sweep": sweep.folder})
        pick_stage(pick)
        chosen[strategy] = json.loads((pick.folder / CHOICE_FILE).read_text())
    best = min(rows, key=lambda row: (row["wer"], row["scale"]))
    assert chosen["leave_one_domain_out"]["scale"] == best["scale"]
    assert chosen["agreement"]["scale"] == 0.0  # of two, each is as far from the other
    assert chosen["fixed"]["scale"] == 0.3
    assert "12 utterances" in chosen["leave_one_domain_out"]["chosen_on"]
    more = {"parts": (DEV,), "scopes": ("encoder", "decoder"), "scales": (0.0, 1.0), "rounds": 1}
    start = Output("leave_one_domain_out", CHOICE_FILE)
    searched = ScopesParams(**_params("analogy_per_scope", models, start=start, **more))
    started = {**inputs, "leave_one_domain_out": tmp_path / "leave_one_domain_out"}
    scopes = work_of(tmp_path / "scopes", searched, started)
    scopes_stage(scopes)
    found = json.loads((scopes.folder / CHOICE_FILE).read_text())
    assert min(row["wer"] for row in found["trace"]) == next(
        row["wer"] for row in found["trace"] if {key: row[key] for key in found["scopes"]} == found["scopes"]
    )
    last = CombinedParams(**_params("analogy_per_scope", models, choice=Output("scopes", CHOICE_FILE)))
    heard = work_of(tmp_path / "heard", last, {**inputs, "scopes": scopes.folder})
    combined_stage(heard)
    model = WrittenParams(corners=last.corners, offset=last.offset, base=last.base, choice=last.choice)
    written = work_of(tmp_path / "written", model, {**inputs, "scopes": scopes.folder})
    written_stage(written)
    parts = {part: weights_of(models, "analogy_per_scope", scale) for part, scale in found["scopes"].items()}
    for name in (made := open_checkpoint(written.folder / MODEL_FOLDER)):
        part = "encoder" if ".encoder." in name else "decoder"
        torch.testing.assert_close(made[name], parts[part][name], atol=1e-7, rtol=0)
    system = json.loads((heard.folder / SCORE_FILE).read_text())["system"]
    assert system["scale"] is None
    assert system["scopes"] == found["scopes"]
    assert system["wer"] == pytest.approx(min(row["wer"] for row in found["trace"]))
