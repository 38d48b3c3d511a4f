"""Repetition is noticed and left in once; what people say twice stays."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.recognisers.checking.loops import compression_ratio, loops, without_loops

CUT_OFF = [
    ("Kate likes lamb. Kate likes lamb. Kate likes lamb. Kate lik", "Kate likes lamb."),
    ("8062 8062 8062 8062 8", "8062"),
    ("You think that this is okay? If this is okay? If this is okay? If this", "You think that this is okay? If"),
    ("0, 3, 5, 0, 3, 5, 0, 3, 5, 0", "0, 3, 5,"),
]
LOOPS = [
    ("bye " * 40, "bye"),
    ("A B C. A b c! A, B, C. Then it ended.", "A B C. Then it ended."),
    ("so we go to the zoo to the zoo to the zoo to the zoo", "so we go to the zoo"),
    ("Call him. Call him. Call him. Call him. Ring me. Ring me. Ring me. Ring me.", "Call him. Ring me."),
]
SAID = [
    "",
    "no, no, no, no",
    "zero zero zero zero",
    "thank you thank you thank you",
    "We speak out when we feel we should speak out.",
    "He was there. He was there.",
]


@pytest.mark.parametrize(("text", "expected"), CUT_OFF)
def test_a_transcript_that_ran_into_its_limit_ends_where_it_began_to_repeat(text: str, expected: str) -> None:
    assert without_loops(text, cut_off=True) == expected
    assert loops(text, cut_off=True)


@pytest.mark.parametrize(("text", "expected"), LOOPS)
def test_a_loop_is_left_in_once(text: str, expected: str) -> None:
    assert without_loops(text) == expected
    assert loops(text)


@pytest.mark.parametrize("text", SAID)
def test_what_people_say_stays_to_the_letter(text: str) -> None:
    assert without_loops(text) == text
    assert not loops(text)


def test_the_ratio_is_openai_whispers() -> None:
    from whisper.utils import compression_ratio as theirs

    for text in ("one two three", "one " * 50, "äöü " * 9):
        assert compression_ratio(text) == theirs(text) == len(text.encode()) / len(zlib.compress(text.encode()))
    assert compression_ratio("") == 0.0


def test_a_ratio_without_a_block_is_a_loop_too() -> None:
    """Sentences that differ in one word each compress like a loop."""
    text = " ".join(
        f"the cat sat on the mat with hat number {word}."
        for word in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
    )
    assert compression_ratio(text) > 2.4
    assert loops(text)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=40).map(" ".join), st.booleans())
def test_cutting_twice_changes_nothing_more(text: str, cut_off: bool) -> None:
    once = without_loops(text, cut_off=cut_off)
    assert len(once) <= len(text)
    if not cut_off and compression_ratio(text) <= 2.4:
        assert without_loops(once) == once


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"]), unique=True, min_size=1).map(" ".join))
def test_words_that_differ_are_no_loop(text: str) -> None:
    assert without_loops(text, cut_off=True) == text
