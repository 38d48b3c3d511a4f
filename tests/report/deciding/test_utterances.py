"""The table of utterances: every one is there, aligned and escaped, and pairs count what was heard for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.evaluation.results import Hypothesis, Results, read_hypotheses
from speech_analogy.report.deciding import using, utterances
from speech_analogy.report.deciding.utterances import Transcribed
from tests.report.reading import Page


def said(id_: str, reference: str, heard: str, substitutions: int = 0, insertions: int = 0) -> Hypothesis:
    return Hypothesis(
        id=id_, domain="food", speaker="s", cluster="s", audio="", duration_s=1.0, reference=reference,
        hypothesis=heard, reference_normalised=reference, hypothesis_normalised=heard, substitutions=substitutions,
        deletions=0, insertions=insertions, words=len(reference.split()),
    )  # fmt: skip


def test_pairs_count_utterances_and_substitutions_stand_before_insertions() -> None:
    rows = [
        said("1", "a bear", "a beer", 1), said("2", "bear bear", "beer beer", 2), said("3", "yes", "oh yes", 0, 1),
        said("4", "rabbit", "robot", 1),
    ]  # fmt: skip
    found = utterances.table([Transcribed("one", True, rows)], rows, [])
    assert found.pairs == [(("bear", "beer"), 2), (("rabbit", "robot"), 1), ((utterances.NOTHING, "oh"), 1)]
    assert [list(row.pairs) for row in found.rows] == [[0], [0], [2], [1]]
    assert [row.wer for row in found.rows] == [50.0, 100.0, 100.0, 100.0]


def test_transcripts_are_aligned_and_escaped() -> None:
    rows = [said("1", "a bear", "a <b>beer", 1)]
    (row,) = utterances.table([Transcribed("one", True, rows)], rows, []).rows
    assert '<mark title="said: bear">&lt;b&gt;beer</mark>' in row.transcripts


def test_change_is_against_the_rival_on_the_same_reference() -> None:
    after, before = [said("1", "a bear", "a bear"), said("2", "x", "x")], [said("1", "a bear", "beer ear", 2)]
    rows = utterances.table([], after, before).rows
    assert [(row.outcome, row.change) for row in rows] == [("fewer errors", -2), ("right", None)]


def test_the_page_has_every_utterance_with_its_errors(made: Path, results: Results) -> None:
    page = Page((made / "report.html").read_text(encoding="utf-8"))
    head, *rows = page.tables["Every utterance"]
    hypotheses = read_hypotheses(made / "hypotheses" / "analogy-0.75.jsonl")
    assert len(rows) == len(hypotheses) == results.test.utterances
    column = head.index("errors")
    assert [row[column] for row in rows] == [str(h.substitutions + h.deletions + h.insertions) for h in hypotheses]
    assert all(h.reference in row[0] for row, h in zip(rows, hypotheses, strict=True))
    assert page.within["utterances"].count("noscript") == 1


@pytest.mark.parametrize("has_model", [True, False])
def test_lines_to_copy_are_there_where_there_is_a_model(tmp_path: Path, has_model: bool) -> None:
    if has_model:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("{}")
    found = dict(using.ready(tmp_path, "model"))
    assert bool(found) is has_model
    if has_model:
        assert {"transformers", "speech-analogy", "faster-whisper", "openai-whisper"} <= set(found)
        assert "speech-analogy export model --to ctranslate2 --out model-ct2" in found["faster-whisper"]
