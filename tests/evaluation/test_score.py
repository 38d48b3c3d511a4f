"""Counts against hand computations and kaldialign; jiwer's own rates."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.errors import DataError
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.score import character_errors, word_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "substitutions", "deletions", "insertions"),
    [
        ("a b c", "a b c", 0, 0, 0),
        ("a b c", "a x c", 1, 0, 0),
        ("a b c", "a c", 0, 1, 0),
        ("a b c", "a b b b c", 0, 0, 2),
        ("a", "", 0, 1, 0),
        ("a", "a a a a", 0, 0, 3),
    ],
)
def test_hand_counted(reference: str, hypothesis: str, substitutions: int, deletions: int, insertions: int) -> None:
    found = word_errors([reference], [hypothesis])
    assert (found.substitutions[0], found.deletions[0], found.insertions[0]) == (substitutions, deletions, insertions)
    assert found.rate == pytest.approx(100 * (substitutions + deletions + insertions) / len(reference.split()))


sentences = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=8).map(" ".join)
transcripts = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


@given(st.lists(st.tuples(sentences, transcripts), min_size=1, max_size=6))
def test_totals_are_kaldis_and_jiwers(pairs: list[tuple[str, str]]) -> None:
    kaldialign = pytest.importorskip("kaldialign")
    references, hypotheses = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = word_errors(references, hypotheses)
    for index, (reference, hypothesis) in enumerate(pairs):
        assert found.total[index] == kaldialign.edit_distance(reference.split(), hypothesis.split())["total"]
        assert found.words[index] == len(reference.split())
    assert found.rate == pytest.approx(100 * jiwer.wer(references, hypotheses))
    assert character_errors(references, hypotheses).rate == pytest.approx(100 * jiwer.cer(references, hypotheses))


def test_empty_reference_is_refused() -> None:
    with pytest.raises(DataError, match="reference 1"):
        word_errors(["a", " "], ["a", "b"])
    with pytest.raises(DataError, match="no reference"):
        word_errors([], [])
    with pytest.raises(DataError, match="as many"):
        word_errors(["a"], [])


def test_number_words_become_digits_in_english_alone() -> None:
    assert normaliser("en")("Twenty-one, please!") == normaliser("en")("21 please")
    assert normaliser("es")("Veintiuno, por favor") == "veintiuno por favor"
