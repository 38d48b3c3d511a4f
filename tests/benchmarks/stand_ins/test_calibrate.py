"""Estimate against truth: the figures of a table, on scores made up so that they are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.errors import DataError
from speech_analogy.evaluation.stand_in_estimate import CandidateScore, StandInScores
from tests.benchmarks.stand_ins.calibrate import cases_of, table

ERRORS = {
    ("zero_shot", None): 600,
    ("source_real", None): 500,
    ("target_synthetic", None): 450,
    ("mixed", None): 320,
    ("mean_of_mixed_and_analogy", 0.5): 300,
    ("mean_of_mixed_and_analogy", 1.0): 310,
}


def write(run: Path, target: str, factor: float = 1.0, **changed: int) -> None:
    """A target's scores on its test, all candidates' errors times a factor."""
    scores = [
        CandidateScore(system=name, scale=scale, errors=changed.get(name, round(factor * errors)))
        for (name, scale), errors in ERRORS.items()
    ]
    found = StandInScores(label="test", texts=50, utterances=60, words=1000, scores=scores)
    folder = run / "targets" / target / "stages" / "truth-0123"
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(found.model_dump_json())


def test_alike_targets_are_estimated_as_they_are(tmp_path: Path) -> None:
    for name in "abcd":
        write(tmp_path, name)
    cases = list(cases_of(tmp_path))
    assert len(cases) == 4 * (3 + 3 + 1)
    assert all(case.inside and case.regret == 0 and case.scale_regret == 0 for case in cases)
    assert all(case.bias == pytest.approx(0, abs=1e-9) for case in cases)
    assert cases[0].chosen == ("mean_of_mixed_and_analogy", 0.5)


def test_a_target_unlike_all_others_is_outside_and_costs_regret(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, name)
    write(tmp_path, "odd", factor=0.1, mixed=10)
    odd = [case for case in cases_of(tmp_path, counts=[3]) if case.target == "odd"]
    assert [case.inside for case in odd] == [False]
    assert odd[0].regret == pytest.approx(2.0)  # 30 errors against 10 of 1,000 words
    assert odd[0].scale_regret == 0
    rows = table(odd).splitlines()
    assert rows[2].count("|") == rows[0].count("|")
    assert "0 %" in rows[2]


def test_a_run_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no scores on a test"):
        list(cases_of(tmp_path))
