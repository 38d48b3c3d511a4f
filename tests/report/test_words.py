"""Words corrected and broken: hand-made cases, and totals that must agree with jiwer's."""

from __future__ import annotations

from pathlib import Path

import jiwer

from speech_analogy.evaluation.results import Hypothesis, read_hypotheses
from speech_analogy.report import words
from speech_analogy.report.words import Word


def decoded(identity: str, reference: str, hypothesis: str) -> Hypothesis:
    return Hypothesis(
        id=identity, domain="d", speaker="s", cluster="s", audio="", duration_s=1.0, reference=reference,
        hypothesis=hypothesis, reference_normalised=reference, hypothesis_normalised=hypothesis,
        substitutions=0, deletions=0, insertions=0, words=len(reference.split()),
    )  # fmt: skip


def test_alignment_of_each_kind() -> None:
    (substituted,), (inserted,), (deleted,), (silent,) = (
        words.align([reference], [hypothesis])
        for reference, hypothesis in (("a bear", "a beer"), ("bear", "a bear"), ("a bear", "bear"), ("bear", ""))
    )
    assert substituted == [Word("equal", "a", "a"), Word("substitute", "bear", "beer")]
    assert inserted == [Word("insert", None, "a"), Word("equal", "bear", "bear")]
    assert deleted == [Word("delete", "a", None), Word("equal", "bear", "bear")]
    assert silent == [Word("delete", "bear", None)]
    assert words.align([], []) == []


def test_mended_and_broken_of_a_hand_made_case() -> None:
    before = [
        decoded("1", "the bear sleeps", "the beer sleeps"),
        decoded("2", "a bear", "a bare"),
        decoded("3", "bear and rabbit", "and rabbit"),
        decoded("4", "one rabbit", "one rabbit"),
        decoded("5", "tiger", "tyre"),
        decoded("6", "stop", "stop stop stop"),
        decoded("only before", "x", "y"),
    ]
    after = [
        decoded("6", "stop", "stop"),
        decoded("5", "tiger", "tire"),  # wrong in both: neither corrected nor broken
        decoded("4", "one rabbit", "one robot"),
        decoded("3", "bear and rabbit", "bear and"),
        decoded("2", "a bear", "a bear"),
        decoded("1", "the bear sleeps", "the bear sleeps"),
        decoded("only after", "x", "y"),
    ]
    found = words.changes(before, after)
    assert (found.words, found.corrected, found.broken) == (12, 3, 2)
    assert (found.inserted_before, found.inserted_after) == (2, 0)
    (bear,) = found.most_corrected
    assert (bear.word, bear.said, bear.corrected, bear.broken) == ("bear", 3, 3, 0)
    assert bear.recognised == ((None, 1), ("bare", 1), ("beer", 1))
    (rabbit,) = found.most_broken
    assert (rabbit.word, rabbit.said, rabbit.corrected, rabbit.broken) == ("rabbit", 2, 0, 2)
    assert rabbit.recognised == ((None, 1), ("robot", 1))


def test_order_is_by_count_then_alphabet_and_the_list_is_cut() -> None:
    texts = ["b", "a", "c", "c"]
    before = [decoded(str(i), text, "x") for i, text in enumerate(texts)]
    after = [decoded(str(i), text, text) for i, text in enumerate(texts)]
    assert [change.word for change in words.changes(before, after).most_corrected] == ["c", "a", "b"]
    assert [change.word for change in words.changes(before, after, limit=2).most_corrected] == ["c", "a"]


def test_empty_and_differing_references_are_left_out() -> None:
    before = [decoded("1", "", "x"), decoded("2", "one", "one")]
    after = [decoded("1", "", "y"), decoded("2", "won", "won")]
    assert words.changes(before, after).words == 0


def test_totals_agree_with_jiwer(made: Path) -> None:
    before, after = (read_hypotheses(made / "hypotheses" / f"{n}.jsonl") for n in ("target_synthetic", "analogy-0.75"))
    found = words.changes(before, after, limit=10_000)
    hits = [
        jiwer.process_words([r.reference_normalised for r in rows], [r.hypothesis_normalised for r in rows]).hits
        for rows in (before, after)
    ]
    assert found.corrected - found.broken == hits[1] - hits[0]
    assert found.inserted_before == sum(row.insertions for row in before)
    assert found.inserted_after == sum(row.insertions for row in after)
    assert (
        found.corrected
        == sum(c.corrected for c in found.most_corrected)
        == sum(sum(n for _, n in c.recognised) for c in found.most_corrected)
    )
    assert found.words == sum(row.words for row in before)
