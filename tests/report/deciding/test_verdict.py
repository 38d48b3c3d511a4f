"""The verdict: nothing gained comes first, intervals are in words, the bar is judged by the whole interval."""

from __future__ import annotations

import pytest

from speech_analogy.evaluation.results import Results
from speech_analogy.report.deciding import verdict
from speech_analogy.report.deciding.verdict import interval_in_words


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-20.3, -4.3, "between 4.3 and 20.3 points lower"),
        (1.5, 7.25, "between 1.5 and 7.2 points higher"),
        (-5.6, 3.1, "anywhere from 5.6 points lower to 3.1 points higher"),
    ],
)
def test_intervals_in_words(low: float, high: float, said: str) -> None:
    assert interval_in_words(low, high) == said


def test_the_base_and_the_strongest_rival_are_named_and_no_ceiling(results: Results) -> None:
    rival = verdict.strongest_rival(results)
    assert rival is not None
    assert rival.name == "mixed"  # target_real and all_real have lower WERs, by the target's own recordings
    said = " ".join(verdict.sentences(results))
    assert "Whisper as published" in said
    assert "strongest rival, Mixed" in said
    assert "Nothing was gained" not in said


@pytest.mark.parametrize(
    ("p_value", "first"),
    [(0.4, "No gain over the base can be told"), (None, "Whether anything was gained cannot be told")],
)
def test_a_doubtful_gain_is_said_first(results: Results, p_value: float | None, first: str) -> None:
    rows = [one.model_copy(update={"p_value": p_value}) for one in results.comparisons]
    assert verdict.sentences(results.model_copy(update={"comparisons": rows}))[0].startswith(first)


def test_a_subject_that_is_worse_than_the_base_gained_nothing(results: Results) -> None:
    systems = [one.model_copy(update={"wer": 1.0}) if one.name == "zero_shot" else one for one in results.systems]
    said = verdict.sentences(results.model_copy(update={"systems": systems}))
    assert said[0].startswith("Nothing was gained")


def test_publishing_the_base_gained_nothing(results: Results) -> None:
    assert verdict.sentences(results.model_copy(update={"published": "zero_shot"}))[0].startswith("Nothing was gained")


@pytest.mark.parametrize(
    ("bar", "said"),
    [(20.0, "That is not good enough"), (30.0, "is open"), (50.0, "That is good enough")],
)
def test_the_bar_is_judged_by_the_whole_interval(results: Results, bar: float, said: str) -> None:
    systems = [
        one.model_copy(update={"wer": 30.5, "ci95": (25.0, 35.0)}) if one.chosen else one for one in results.systems
    ]
    changed = results.model_copy(update={"systems": systems})
    assert said in verdict.sentences(changed, bar)[-1]
    assert f"the bar of {bar:g} %" in verdict.sentences(changed, bar)[-1]


def test_too_few_clusters_decide_nothing(results: Results) -> None:
    few = results.model_copy(update={"test": results.test.model_copy(update={"clusters": 4})})
    assert "4 speakers are too few" in verdict.sentences(few, 90.0)[-1]
