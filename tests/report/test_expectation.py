"""What stand-in domains say of the target: sentences, table, and reports of runs without a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results
from speech_analogy.evaluation.stand_in_estimate import CandidateScore, Estimate, StandInScores, decide
from speech_analogy.report import expectation, markdown, screen
from speech_analogy.report.cards import model_card
from speech_analogy.report.report import write_report

USUAL = "mean_of_mixed_and_analogy"
ADAPTED = ("target_synthetic", "mixed", "analogy", USUAL)


def stand_in(label: str, *, unseen: bool = True, source_real: int = 500) -> StandInScores:
    errors = {
        ("zero_shot", None): 600,
        ("source_real", None): source_real,
        ("target_synthetic", None): 450,
        ("mixed", None): 320,
        ("analogy", 0.5): 330,
        (USUAL, 0.5): 300,
    }
    scores = [CandidateScore(system=name, scale=scale, errors=count) for (name, scale), count in errors.items()]
    return StandInScores(
        label=label, texts=50, utterances=60, speakers=12, words=1000, unseen_speakers=unseen, scores=scores
    )


@pytest.fixture(scope="module")
def estimate() -> Estimate:
    return decide([stand_in("food"), stand_in("clock")], USUAL, ADAPTED)


@pytest.fixture
def untested(run: Path, estimate: Estimate) -> Results:
    """A run that had no recordings of its target."""
    results = Results.read(run / "results.json")
    update = {"systems": [], "comparisons": [], "estimate": estimate, "published": estimate.system}
    return results.model_copy(update=update)


def test_says_that_it_is_an_estimate_from_other_domains(untested: Results) -> None:
    said = " ".join(expectation.sentences(untested))
    assert "a WER of about 30.0 %" in said
    assert "estimate from 2 other domains" in said
    assert "food (60 utterances of 12 speakers)" in said
    assert "50.0 % fewer errors are expected" in said
    assert "no recordings of the target" in said
    assert "hold some out" not in said


def test_speakers_of_the_training_are_confessed(untested: Results) -> None:
    found = decide([stand_in("food", unseen=False)], USUAL, ADAPTED)
    said = " ".join(expectation.sentences(untested.model_copy(update={"estimate": found})))
    assert "on new speakers expect more errors" in said


def test_nothing_gained_is_the_first_thing_said(untested: Results) -> None:
    found = decide([stand_in("food", source_real=100), stand_in("clock", source_real=90)], USUAL, ADAPTED)
    results = untested.model_copy(update={"estimate": found, "published": found.system})
    assert expectation.sentences(results)[0].startswith("Nothing is gained by adapting")
    assert "B: source, real" in expectation.sentences(results)[0]


def test_the_truth_stands_beside_the_estimate(run: Path, estimate: Estimate) -> None:
    results = Results.read(run / "results.json")
    mixed = next(system for system in results.systems if system.name == "mixed")
    found = estimate.model_copy(update={"system": "mixed", "scale": None})
    measured = results.model_copy(update={"estimate": found, "published": "mixed"})
    said = expectation.sentences(measured)[-1]
    assert said.startswith(f"Measured on the target: {mixed.wer:.1f} %")
    assert said.endswith(("inside the estimated interval.", "outside the estimated interval."))


def test_table_has_the_published_system_first_and_every_stand_in(estimate: Estimate) -> None:
    head, rows = expectation.table(estimate)
    assert head == ["system", "food", "clock", "mean"]
    assert rows[0] == ["Mean of mixed and D, λ = 0.5 (published)", "30.0", "30.0", "30.0"]
    assert [row[-1] for row in rows[1:]] == sorted((row[-1] for row in rows[1:]), key=float)


def test_screen_fits_and_names_what_is_published(untested: Results) -> None:
    shown = screen.table(untested)
    assert all(len(line) <= screen.WIDTH for line in shown.split("\n"))
    assert "Published: Mean of mixed and D, λ = 0.5." in shown


def test_reports_of_a_run_without_a_test(run: Path, untested: Results) -> None:
    untested.write(run / "results.json")
    page = write_report(run).read_text(encoding="utf-8")
    assert "is expected" in page
    assert 'id="expected"' in page
    assert "no recordings of the target" in markdown.render(untested)


def test_the_card_of_a_model_without_a_test_says_what_is_expected(untested: Results, estimate: Estimate) -> None:
    card = model_card(untested, {"base": "pip:whisper-tiny.en"}, name=estimate.system)
    assert "model-index" not in card
    assert "a WER of about 30.0 %" in card
    with pytest.raises(DataError, match="did not measure this system"):
        model_card(untested, {}, name="mixed")
