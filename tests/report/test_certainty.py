"""What a report says of intervals over too few speakers, and of speakers that are not known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.evaluation.results import Overlap, Results, SpokenTexts
from speech_analogy.report import markdown
from speech_analogy.report.cards import model_card
from speech_analogy.report.report import write_report
from speech_analogy.report.screen import WIDTH, table
from tests.report.reading import Page

CAUTION = "† With 5 speakers, fewer than 10, the intervals are too narrow to trust, and no p-value is given."


@pytest.fixture
def few(run: Path) -> Results:
    """The run as an earlier version would have written it over five speakers: with p-values."""
    file = run / "results.json"
    content = json.loads(file.read_text())
    content["test"] |= {"clusters": 5, "speakers": 5}
    assert all(row["p_value"] is not None for row in content["comparisons"])
    file.write_text(json.dumps(content))
    return Results.read(file)


def test_p_values_over_too_few_clusters_are_not_read(few: Results) -> None:
    assert few.too_few_clusters
    assert few.comparisons
    assert all(row.p_value is None and row.p_holm is None for row in few.comparisons)


def test_every_table_marks_intervals_that_are_too_narrow(few: Results, run: Path) -> None:
    text = markdown.render(few)
    assert text.count(CAUTION) == 3  # below the systems, the ranking and the comparisons
    for system in few.systems:
        assert f"{system.ci95[0]:.1f}–{system.ci95[1]:.1f} †" in text
    assert "p-values" not in text.replace("p-value is", "")
    page = Page(write_report(run).read_text(encoding="utf-8")).text
    assert page.count(CAUTION) == 4  # the same three, and how it was measured
    assert "too few speakers to test it" in page
    screen = table(few)
    assert CAUTION in " ".join(screen.split())
    assert max(map(len, screen.splitlines())) <= WIDTH
    assert screen.count(" †") == len(few.systems) + len(few.comparisons)
    assert "no p" in screen
    assert CAUTION in model_card(few, {})


def test_enough_clusters_are_not_marked(results: Results, made: Path) -> None:
    for text in (markdown.render(results), table(results), (made / "report.html").read_text(encoding="utf-8")):
        assert "†" not in text
        assert "over 12 speakers" in text


def test_unknown_speakers_are_called_so(results: Results) -> None:
    unknown = {"speakers": 0, "clusters": 31, "cluster": "prompt", "cluster_note": "no speaker is known"}
    changed = results.model_copy(update={"test": results.test.model_copy(update=unknown)})
    text = markdown.render(changed)
    assert "utterances of unknown speakers" in text
    assert "over 31 prompts (no speaker is known)" in text
    assert "over 31 prompts (no speaker is known)" in table(changed)


def test_a_test_that_was_in_training_is_marked_in_every_table(run: Path, results: Results) -> None:
    met = results.test.model_copy(update={"overlap": Overlap(recordings=0, speakers=1, utterances=5)})
    changed = results.model_copy(update={"test": met})
    said = "‡ Of this test, 1 of 12 speakers were in training: on new ones expect more errors."
    assert markdown.render(changed).count(said) == 3
    assert said in " ".join(table(changed).split())
    assert said in model_card(changed, {})
    changed.write(run / "results.json")
    page = Page(write_report(run).read_text(encoding="utf-8")).text
    assert page.count(said) == 4
    assert "†" not in page
    both = met.model_copy(update={"overlap": Overlap(recordings=7, speakers=1, utterances=9)})
    assert "Of this test, 7 of 60 recordings and 1 of 12 speakers were" in markdown.render(
        results.model_copy(update={"test": both})
    )
    none = met.model_copy(update={"overlap": Overlap(recordings=0, speakers=0, utterances=0)})
    assert "‡" not in markdown.render(results.model_copy(update={"test": none}))


def test_spoken_texts_are_said_and_wer_is_given_apart(run: Path, results: Results) -> None:
    closed = results.test.model_copy(update={"texts": SpokenTexts(texts=40, spoken=40, utterances=60)})
    said = "TTS has spoken all 40 texts of the test: a closed vocabulary."
    for text in (markdown.render, table):
        assert said in " ".join(text(results.model_copy(update={"test": closed})).split())
    parted = results.test.model_copy(update={"texts": SpokenTexts(texts=40, spoken=30, utterances=44)})
    systems = [one.model_copy(update={"wer_spoken": 21.25, "wer_unspoken": 43.5}) for one in results.systems]
    changed = results.model_copy(update={"test": parted, "systems": systems})
    for text in (markdown.render(changed), table(changed)):
        assert "TTS has spoken 30 of the test's 40 texts." in " ".join(text.split())
        assert "21.2" in text
        assert "43.5" in text
    changed.write(run / "results.json")
    page = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "TTS has spoken 30 of the test's 40 texts." in page
    assert "43.5" in page
