"""B-WER and U-WER, terms, entities, groups and consensus against hand computations, jiwer and kaldialign."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.evaluation.measures.consensus import least_edits, word_edits
from speech_analogy.evaluation.measures.entities import entities_of, entity_recall
from speech_analogy.evaluation.measures.groups import by_group, traits_of
from speech_analogy.evaluation.measures.records import EntitySpan
from speech_analogy.evaluation.measures.target_words import target_words, words_only_in
from speech_analogy.evaluation.measures.terms import rare_terms, term_score, times
from speech_analogy.evaluation.significance import compare

texts = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=7).map(" ".join)
spoken = texts.filter(bool)


def test_words_of_the_target_by_hand() -> None:
    own = words_only_in(["Order a latte, now"], ["a cake now"], str.lower)
    assert own == {"order", "latte,"}
    # b is the target's own. "a b c" -> "x b c b": a is substituted, a b is inserted; "b c" -> "c": a b is deleted.
    found = target_words(["a b c", "b c"], ["x b c b", "c"], {"b"})
    assert (found.words, found.errors, found.others, found.other_errors) == (2, 2, 3, 1)
    assert (found.b_wer, found.u_wer) == (100.0, pytest.approx(100 / 3))
    assert target_words(["a"], ["a"], {"b"}).b_wer is None


@given(st.lists(st.tuples(spoken, texts), min_size=1, max_size=5), st.sets(st.sampled_from("abcd")))
def test_both_kinds_of_words_are_all_words(pairs: list[tuple[str, str]], own: set[str]) -> None:
    references, hypotheses = [one for one, _ in pairs], [other for _, other in pairs]
    found = target_words(references, hypotheses, own)
    total = found.words + found.others
    assert total == sum(len(one.split()) for one in references)
    assert 100 * (found.errors + found.other_errors) / total == pytest.approx(100 * jiwer.wer(references, hypotheses))


def test_terms_by_hand() -> None:
    # "new york" is spoken twice and found once; "york" three times and found once; "latte" is written falsely.
    references, hypotheses = ["new york york", "new york"], ["new york latte", "newyork"]
    found = term_score(references, hypotheses, ["New York", "york", "latte", "tea"], str.lower, "by hand")
    counts = {term: (one.spoken, one.found, one.false) for term, one in found.terms.items()}
    assert counts == {"latte": (0, 0, 1), "new york": (2, 1, 0), "york": (3, 1, 0)}
    assert (found.listed, found.recall, found.precision) == (4, 40.0, pytest.approx(200 / 3))
    assert (times("no no no", "no"), times("no no no", "no no"), times("noon", "no")) == (3, 1, 0)


def test_rare_terms_are_not_in_whispers_vocabulary() -> None:
    assert rare_terms({"the", "coffee", "london", "wagamama", "ristretto", "b12", "qi"}) == ["ristretto", "wagamama"]


def test_entities_by_type() -> None:
    entities = [[EntitySpan(type="date", text="May one"), EntitySpan(type="person", text="Ann")], []]
    found = entity_recall(["on may one ann", "b"], ["on may one an", "b"], entities, str.lower)
    assert {kind: (one.spoken, one.found, one.recall) for kind, one in found.items()} == {
        "date": (1, 1, 100.0),
        "person": (1, 0, 0.0),
    }
    assert entity_recall(["twenty one"], ["twenty one"], [[EntitySpan(type="n", text="one two")]], str.lower) == {}
    listed = [{"type": "a", "text": "b"}, {"type": "c"}, 3]
    assert entities_of({"entities": listed}) == (EntitySpan(type="a", text="b"),)


def test_groups_and_their_gap() -> None:
    assert traits_of({"gender": "F", "age": 6, "native": False, "microphone": "far", "split": "x"}) == {
        "sex": "female", "age": "0 to 12", "native": "not native", "microphone": "far",
    }  # fmt: skip
    assert traits_of({"age": None, "gender": None, "native": None}) == {}
    traits = [{"sex": "female"}, {"sex": "male"}, {"sex": "female"}, {}]
    errors, words = np.array([1, 3, 2, 9]), np.array([10, 10, 10, 10])
    (found,) = by_group(traits, errors, words, ["1", "2", "3", "4"])
    assert [(one.group, one.utterances, one.wer) for one in found.groups] == [("female", 2, 15.0), ("male", 1, 30.0)]
    assert (found.gap, found.unknown) == (15.0, 1)
    assert found.ci95 == pytest.approx((10.0, 20.0))  # the men have one cluster, the women 10 %, 15 % or 20 %
    assert by_group([{"sex": "male"}] * 4, errors, words, ["1", "2", "3", "4"]) == []


@given(texts, texts)
def test_word_edits_are_kaldis(one: str, other: str) -> None:
    kaldialign = pytest.importorskip("kaldialign")
    assert word_edits(one.split(), other.split()) == kaldialign.edit_distance(one.split(), other.split())["total"]


def test_consensus_is_what_the_others_agree_with() -> None:
    assert least_edits(["a b c", "a b d", "a b d"]) == 1
    assert least_edits(["a b", "c d"]) == 0  # alike far: the first
    assert least_edits(["a x c", "a b c", "a b y"]) == 1  # edits 1 + 2, 1 + 1, 2 + 1


def test_smallest_difference_that_could_be_told() -> None:
    """By the closed form: the standard error of a mean of 400 clusters of one word is s / √400."""
    generator = np.random.default_rng(1)
    changes = generator.integers(-1, 2, 400)
    against = np.ones(400, dtype=np.int64)
    found = compare(against + changes, against, np.ones(400, dtype=np.int64), [str(one) for one in range(400)])
    expected = 2.8016 * 100 * float(np.std(changes)) / 20
    assert found.detectable == pytest.approx(expected, rel=0.03)
    assert compare(against[:9], against[:9], against[:9], [str(one) for one in range(9)]).detectable is None
