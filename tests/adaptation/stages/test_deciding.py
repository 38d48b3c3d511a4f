"""What is published where no stand-in domain could be asked."""

from __future__ import annotations

import pytest

from speech_analogy.adaptation.stages.deciding import undecided


@pytest.mark.parametrize(
    ("short", "said"),
    [
        ("", "it is the best on other corpora, and there was no stand-in domain"),
        ("none was asked for", "it is the best on other corpora, and no stand-in domain was asked for"),
        ("the source is small", "it is the best on other corpora, and the source is small"),
    ],
)
def test_what_is_published_without_stand_ins_has_its_reason_in_words(short: str, said: str) -> None:
    found = undecided("analogy", ["mixed", "analogy"], 0.5, short)
    assert (found.why, found.system, found.scale) == (said, "analogy", 0.5)
