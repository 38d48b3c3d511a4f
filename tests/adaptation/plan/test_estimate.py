"""What a plan is believed to cost, and which stage goes first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from speech_analogy.adaptation.plan.estimate import (
    DECODERS,
    START_S,
    TINY_BYTES,
    Size,
    as_decoded,
    clock,
    cost_of,
    synthesis_cost,
    urgencies,
    wall_clock_of,
)
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.runs.adapt import describe


def test_longest_chain_goes_first() -> None:
    stages = [Stage("a", "k", cost_s=1), Stage("b", "k", cost_s=5), Stage("c", "k", needs=("a",), cost_s=9)]
    assert urgencies(stages) == {"a": 10, "b": 5, "c": 9}


def test_a_run_takes_as_long_as_its_longest_chain_or_its_share_of_the_work() -> None:
    chain = [Stage("speak", "k", cost_s=100), Stage("train", "k", needs=("speak",), cost_s=450)]
    small = [Stage(name, "k", cost_s=10) for name in "abc"]
    assert wall_clock_of([*chain, *small], 2) == 550  # not (550 + 30) / 2
    assert wall_clock_of([*chain, *small], 1) == 580
    assert wall_clock_of(chain[1:], 2) == 450  # what is done, nobody waits for
    assert wall_clock_of(chain[1:], 2, begun={"train": 440.0}) == 10
    assert wall_clock_of(small, 2) == 20
    assert wall_clock_of([], 2) == 0
    two = [Stage("a", "k", cost_s=30), Stage("b", "k", cost_s=20), Stage("c", "k", needs=("a", "b"), cost_s=5)]
    assert wall_clock_of(two, 2) == wall_clock_of(two, 8) == 35
    assert wall_clock_of(two, 1, begun={"b": 15.0}) == 40  # what is begun goes on


def test_clock() -> None:
    assert [clock(s) for s in (42.4, 185, 7800)] == ["42 s", "3 min 05 s", "2 h 10 min"]


def test_a_decoding_stage_costs_what_its_backend_takes() -> None:
    torch_says = Stage("evaluate-mixed", "evaluate", {"evaluation": {"beams": 1}}, cost_s=START_S + 20)
    assert as_decoded(torch_says) == torch_says
    for (backend, compute), share in DECODERS.items():
        told = replace(torch_says, params={"evaluation": {"backend": backend, "compute": compute}})
        assert as_decoded(told).cost_s == pytest.approx(START_S + 20 * share)
        assert as_decoded(told).params == told.params
    training = Stage("finetune-mixed", "finetune", {"training": {}}, cost_s=50.0)
    assert as_decoded(training) == training


def test_voices_of_an_engine_share_the_speech_evenly() -> None:
    size = Size(1, 600.0, 600.0)
    quick, slow = (synthesis_cost(size, (one,)) - START_S for one in ("flite:slt", "piper:joe"))
    assert quick < slow
    assert synthesis_cost(size, ("piper:joe", "flite:slt+rms")) - START_S == pytest.approx((slow + 2 * quick) / 3)
    assert synthesis_cost(size, ("flite",)) - START_S == quick
    assert synthesis_cost(size, ("a command", "flite")) > synthesis_cost(size, ("piper", "flite"))  # unknown: slow


def test_a_larger_base_costs_more_where_it_works() -> None:
    spoken, trained = Stage("s", "synthesis", cost_s=10.0), Stage("t", "finetune", cost_s=100.0)
    assert cost_of([spoken, trained], TINY_BYTES) == cost_of([spoken, trained]) == 110.0
    assert cost_of([spoken, trained], 2 * TINY_BYTES) == 210.0
    assert cost_of([spoken, trained], TINY_BYTES // 2) == 110.0  # smaller ones have the rates of the smallest
    plan = Plan(Path("run"), [spoken, trained], {"synthesis": 1, "finetune": 1})
    assert "about 3 min 20 s on 2 cores" in describe(plan, 2, 2 * TINY_BYTES)
    assert "times 2.0 for this base's size" in describe(plan, 2, 2 * TINY_BYTES)
