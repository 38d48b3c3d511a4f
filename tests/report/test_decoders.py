"""The published model in other decoders: on the terminal, in results.md and in the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.evaluation.results import DecoderResult, Results
from speech_analogy.report import decoders, markdown, screen
from speech_analogy.report.report import write_report

ROW = {"decoder": "transformers pipeline", "utterances": 2, "wer": 35.5, "ours": 34.0, "difference": 1.5}


def tried(results: Results, low: float, high: float) -> Results:
    row = DecoderResult.model_validate({**ROW, "ci95": (low, high)})
    return results.model_copy(update={"other_decoders": [row]})


def test_every_report_says_it(run: Path) -> None:
    results = tried(Results.read(run / "results.json"), -0.5, 3.5)
    results.write(run / "results.json")
    said = "transformers pipeline, on 2 of these utterances: a WER of 35.5 %, in our own decoder 34.0 % (+1.5 points"
    assert decoders.sentences(results) == [f"The published model in {said}, −0.5 to +3.5)."]
    page = write_report(run).read_text(encoding="utf-8")
    for text in (screen.table(results), markdown.render(results), page):
        assert said in " ".join(text.split())


@pytest.mark.parametrize(("low", "warned"), [(0.2, True), (-0.2, False)])
def test_warns_where_it_does_worse(results: Results, low: float, warned: bool) -> None:
    [sentence] = decoders.sentences(tried(results, low, 4.0))
    assert ("does worse there" in sentence) == warned


@pytest.mark.parametrize(("points", "said"), [(-1.5, "It does better there."), (-0.9, None), (0.9, None)])
def test_a_difference_below_a_point_is_no_warning(results: Results, points: float, said: str | None) -> None:
    row = DecoderResult.model_validate({**ROW, "difference": points, "ci95": (points - 0.1, points + 0.1)})
    [sentence] = decoders.sentences(results.model_copy(update={"other_decoders": [row]}))
    assert sentence.endswith(said or ").")


def test_says_nothing_where_none_was_tried(results: Results) -> None:
    assert decoders.sentences(results) == []
    assert decoders.HEADING not in markdown.render(results)
