"""Scores of text: increments add up to the text's log-probability; a word's bonus is revoked if it is not finished."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_analogy.recognisers.biasing.ngram import witten_bell
from speech_analogy.recognisers.biasing.scoring import StepScores, WeightedNgram
from speech_analogy.recognisers.biasing.trie import WordTrie
from speech_analogy.recognisers.biasing.words import boundary_tokens, rare_words

VOCABULARY, END = 8, 7
A, B, C, D, E = range(5)  # A and D begin words, the others continue them
BOUNDARIES = (A, D, END)
row = st.lists(st.integers(0, 6), max_size=8)


def scores(**given: object) -> StepScores:
    return StepScores(VOCABULARY, END, **given)  # type: ignore[arg-type]


def increments(scores: StepScores, row: list[int], *, ended: bool) -> list[float]:
    """What each step of decoding adds to the token that is written."""
    tokens = [*row, END] if ended else row
    return [float(scores.added(torch.zeros(1, VOCABULARY), [tokens[:at]])[0, t]) for at, t in enumerate(tokens)]


@settings(deadline=None)
@given(row=row, ended=st.booleans())
def test_increments_add_up_to_the_texts_log_probability(row: list[int], ended: bool) -> None:
    """α log p_T − β log p_S + γ tokens, summed over the steps, is that of the whole text: nothing counts twice."""
    text = witten_bell([[A, B], [A, C, D], [D]], 3, VOCABULARY, END)
    rest = witten_bell([[D, D, B], [C]], 2, VOCABULARY, END)
    found = scores(ngrams=(WeightedNgram(text, 0.4), WeightedNgram(rest, -0.2)), token_bonus=0.3)
    tokens = [*row, END] if ended else row
    expected = 0.3 * len(row) + sum(
        0.4 * text.log_probability(token, tokens[:at]) - 0.2 * rest.log_probability(token, tokens[:at])
        for at, token in enumerate(tokens)
    )
    assert sum(increments(found, row, ended=ended)) == pytest.approx(expected, abs=1e-4)
    assert found.total(row, ended=ended) == pytest.approx(expected, abs=1e-6)


def test_rows_of_a_batch_are_what_they_are_alone() -> None:
    model = witten_bell([[A, B], [A, C, D], [D]], 3, VOCABULARY, END)
    both = scores(ngrams=(WeightedNgram(model, 0.5),), trie=WordTrie([[A, B]], 1.0, BOUNDARIES))
    rows = [[A], [A, B], [D, C], []]
    logits = torch.randn(4, VOCABULARY)
    together = both.added(logits, rows)
    for index, one in enumerate(rows):
        assert torch.equal(together[index], both.added(logits[index : index + 1], [one])[0])


def test_the_end_has_no_token_bonus() -> None:
    assert increments(scores(token_bonus=0.5), [A], ended=True) == [0.5, 0.0]


@pytest.mark.parametrize(
    ("written", "ended", "expected"),
    [
        ([A, B], True, [1, 1, 0]),  # the word, whole
        ([A, B, D], False, [1, 1, 0]),  # another word follows
        ([A, B, E], False, [1, 1, -2]),  # it goes on as a word that is not listed
        ([A, D], False, [1, -1]),  # it stays unfinished
        ([A], True, [1, -1]),
        ([A, C, D], False, [1, -1, 0]),
        ([A, B, A, B], True, [1, 1, 1, 1, 0]),  # the word twice
        ([A, A, B], True, [1, 0, 1, 0]),  # the first one is revoked as the second begins
        ([B], False, [0]),  # in the middle of another word nothing is given
        ([D, B], False, [0, 0]),
    ],
)
def test_a_bonus_is_revoked_where_the_word_is_not_finished(
    written: list[int], ended: bool, expected: list[float]
) -> None:
    found = scores(trie=WordTrie([[A, B]], 1.0, BOUNDARIES))
    assert increments(found, written, ended=ended) == expected


@settings(deadline=None)
@given(row=row)
def test_a_finished_text_has_the_bonus_of_its_whole_words_alone(row: list[int]) -> None:
    words = [[A, B], [A, B, C], [D], [D, E, E]]
    found = scores(trie=WordTrie(words, 0.5, BOUNDARIES))
    spelled: list[list[int]] = []
    for token in row:
        if token in BOUNDARIES or not spelled:
            spelled.append([])
        spelled[-1].append(token)
    expected = sum(0.5 * len(word) for word in spelled if word in words)
    assert found.total(row, ended=True) == pytest.approx(expected)
    assert sum(increments(found, row, ended=True)) == pytest.approx(expected, abs=1e-5)


def test_rare_words_are_those_that_the_background_lacks() -> None:
    texts = ["Two curries please", "a curry, and the naan", "the naan and 7-Up"]
    spelled = {"curries": 2, "curry": 2, "naan": 2}
    tokens = lambda word: [0] * spelled.get(word, 1)  # noqa: E731
    assert rare_words(texts, ["the curry please", "and two a"], tokens) == ["naan", "curries"]
    assert rare_words(texts, [], tokens) == ["naan", "curries", "curry"]


def test_words_begin_at_spaces_and_punctuation() -> None:
    assert boundary_tokens(["Ġa", "a", "Ã", ",", "'s", "7", "<|end|>"]) == [0, 3, 4, 6]
