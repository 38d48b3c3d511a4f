"""Strategies that choose λ, on hand-made curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from speech_analogy.adaptation.stages.scale_selection import (
    choose_scale,
    disagreement,
    most_agreed,
    regret,
    search_scopes,
)


def test_smallest_of_the_best_scales_wins() -> None:
    scale, curve = choose_scale({"a": {0.0: 9.0, 0.5: 4.0, 1.0: 6.0}, "b": {0.0: 9.0, 0.5: 8.0, 1.0: 6.0}})
    assert scale == 0.5
    assert [(point.scale, point.wer) for point in curve] == [(0.0, 9.0), (0.5, 6.0), (1.0, 6.0)]


def test_disagreement_is_edits_in_percent_of_the_mean_length() -> None:
    assert disagreement(["a b c d"], ["a x c d e f"]) == pytest.approx(100 * 3 / 5)  # one changed, two more
    assert disagreement(["a x c d e f"], ["a b c d"]) == disagreement(["a b c d"], ["a x c d e f"])
    assert disagreement(["", "a b"], ["a b", "a b"]) == pytest.approx(100 * 2 / 3)
    assert disagreement(["", ""], ["", ""]) == 0.0


def test_most_agreed_is_the_medoid() -> None:
    heard = {0.0: ["a b"], 0.5: ["a c"], 1.0: ["d c"], 1.5: ["e f"]}
    scale, curve = most_agreed(heard)
    assert scale == 0.5
    assert [point.wer for point in curve] == pytest.approx([(50 + 100 + 100) / 3, 200 / 3, (100 + 50 + 100) / 3, 100])
    assert most_agreed({0.7: ["a"]})[0] == 0.7


def test_search_over_scopes_finds_a_separable_minimum() -> None:
    asked: list[Mapping[str, float]] = []

    def hear(candidates: Sequence[Mapping[str, float]]) -> list[float]:
        asked.extend(candidates)
        return [(row["encoder"] - 0.5) ** 2 + (row["decoder"] - 1) ** 2 for row in candidates]

    found, trace = search_scopes(hear, ["encoder", "decoder"], [0.0, 0.5, 1.0], 0.75)
    assert found == {"encoder": 0.5, "decoder": 1.0}
    assert len(trace) == len(asked) == 7  # the grid and the start, then the grid
    assert min(row["wer"] for row in trace) == 0.0


def test_search_keeps_the_start_where_nothing_is_better() -> None:
    found, _ = search_scopes(lambda rows: [1.0 for _ in rows], ["encoder"], [0.0, 1.0], 0.5, rounds=2)
    assert found == {"encoder": 0.5}


def test_regret_is_what_not_knowing_the_test_costs() -> None:
    assert regret(0.5, {0.0: 40.0, 0.5: 33.0, 1.0: 31.5}) == pytest.approx(1.5)
    assert regret(1.0, {0.0: 40.0, 0.5: 33.0, 1.0: 31.5}) == 0.0
