"""What a plan is believed to cost, and which stage goes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speech_analogy.adaptation.execution.protocol import make_executor
from speech_analogy.adaptation.plan.estimate import (
    DECODERS,
    START_S,
    TINY_BYTES,
    Size,
    as_decoded,
    clock,
    cost_of,
    finetune_cost,
    synthesis_cost,
    urgencies,
    wall_clock_of,
)
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import EvaluationOptions
from speech_analogy.adaptation.runs.measured import describe
from speech_analogy.adaptation.stages.params.evaluation_params import EvaluateParams
from speech_analogy.recognisers.windows import TrimmedWindow, window_seconds
from speech_analogy.training.options import FinetuneOptions
from tests.adaptation.building import DEV, ModelFreeParams, some_stage


def test_longest_chain_goes_first() -> None:
    a, b = some_stage("a", 1), some_stage("b", 5)
    assert urgencies([a, b, some_stage("c", 9, a)]) == {"a": 10, "b": 5, "c": 9}


def test_a_run_takes_as_long_as_its_longest_chain_or_its_share_of_the_work() -> None:
    speak = some_stage("speak", 100)
    chain = [speak, some_stage("train", 450, speak)]
    small = [some_stage(name, 10) for name in "abc"]
    assert wall_clock_of([*chain, *small], 2) == 550  # not (550 + 30) / 2
    assert wall_clock_of([*chain, *small], 1) == 580
    assert wall_clock_of(chain[1:], 2) == 450  # what is done, nobody waits for
    assert wall_clock_of(chain[1:], 2, begun={"train": 440.0}) == 10
    assert wall_clock_of(small, 2) == 20
    assert wall_clock_of([], 2) == 0
    a, b = some_stage("a", 30), some_stage("b", 20)
    two = [a, b, some_stage("c", 5, a, b)]
    assert wall_clock_of(two, 2) == wall_clock_of(two, 8) == 35
    assert wall_clock_of(two, 1, begun={"b": 15.0}) == 40  # what is begun goes on


def test_clock() -> None:
    assert [clock(s) for s in (42.4, 185, 7800)] == ["42 s", "3 min 05 s", "2 h 10 min"]


def test_a_fine_tuning_costs_what_its_windows_do() -> None:
    """30 s windows with one utterance cost by their number, packed ones by the speech that they hold."""
    size = Size(100, 300.0, 400.0)
    own, packed, padded, full = (
        finetune_cost(size, 2, FinetuneOptions.parse(options)) - START_S
        for options in ({}, {"packed": 1.0}, {"padded": 1.0}, {"window": "full"})
    )
    assert own < packed < 1.5 * own
    assert padded == full == own * 3000 / 400
    mixed = finetune_cost(size, 2, FinetuneOptions(packed=0.25, padded=0.05)) - START_S
    assert mixed == pytest.approx(0.7 * own + 0.25 * packed + 0.05 * padded)


@pytest.mark.parametrize("settings", [{"slack_s": 0.24, "step_s": 0.2}, {"minimum_s": 6.0}])
def test_a_trimmed_window_costs_what_its_own_settings_say(settings: dict[str, float]) -> None:
    window = TrimmedWindow(**settings)
    durations = np.random.default_rng(0).uniform(1.0, 5.0, 200)
    size = Size(200, float(durations.sum()), sum(window_seconds(float(one), "trimmed") for one in durations))
    assert size.window_s("trimmed") == size.trimmed_s
    assert size.window_s(window) == pytest.approx(
        sum(window_seconds(float(one), window) for one in durations), rel=0.02
    )


def test_a_decoding_stage_costs_what_its_backend_takes() -> None:
    params = EvaluateParams(system="mixed", cuts=DEV, evaluation=EvaluationOptions(), language="en")
    in_torch = Stage("evaluate-mixed", params, START_S + 20)
    assert as_decoded(in_torch) == in_torch
    for (backend, compute), share in DECODERS.items():
        options = EvaluationOptions.parse({"backend": backend, "compute": compute})
        other = Stage("evaluate-mixed", params.model_copy(update={"evaluation": options}), START_S + 20)
        assert as_decoded(other).cost_s == pytest.approx(START_S + 20 * share)
        assert as_decoded(other).params == other.params
    training = some_stage("finetune-mixed", 50.0)
    assert as_decoded(training) == training


def test_voices_of_an_engine_share_the_speech_evenly() -> None:
    size = Size(1, 600.0, 600.0)
    quick, slow = (synthesis_cost(size, (one,)) - START_S for one in ("flite:slt", "piper:joe"))
    assert quick < slow
    assert synthesis_cost(size, ("piper:joe", "flite:slt+rms")) - START_S == pytest.approx((slow + 2 * quick) / 3)
    assert synthesis_cost(size, ("flite",)) - START_S == quick
    assert synthesis_cost(size, ("a command", "flite")) > synthesis_cost(size, ("piper", "flite"))  # unknown: slow


def test_a_larger_base_costs_more_where_it_works() -> None:
    spoken, trained = some_stage("s", 10.0, params=ModelFreeParams), some_stage("t", 100.0)
    assert cost_of([spoken, trained], TINY_BYTES) == cost_of([spoken, trained]) == 110.0
    assert cost_of([spoken, trained], 2 * TINY_BYTES) == 210.0
    assert cost_of([spoken, trained], TINY_BYTES // 2) == 110.0  # smaller ones have the rates of the smallest
    plan, executor = Plan(Path("run"), [spoken, trained]), make_executor("local", 2)
    assert "about 3 min 20 s on 2 cores" in describe(plan, executor, 2 * TINY_BYTES)
    assert "times 2.0 for this base's size" in describe(plan, executor, 2 * TINY_BYTES)
