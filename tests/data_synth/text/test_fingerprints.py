"""Fingerprints of a million strings agree with a set; texts are read when they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.text.fingerprints import Fingerprints
from data_synth.text.texts import TextFile, read_texts
from speech_analogy.errors import DataError


@settings(max_examples=60, deadline=None)
@given(strings=st.lists(st.tuples(st.text("ab", max_size=2), st.text("ab", max_size=2))), data=st.data())
def test_repeated_strings_are_those_a_set_has_seen(strings: list[tuple[str, str]], data: st.DataObject) -> None:
    of = data.draw(st.lists(st.booleans(), min_size=len(strings), max_size=len(strings)))
    fingerprints = Fingerprints()
    seen: set[tuple[str, str]] = set()
    expected = []
    for string, used in zip(strings, of, strict=True):
        fingerprints.add(*string)
        expected.append(used and string in seen)
        seen |= {string} if used else set()
    assert fingerprints.repeated(np.array(of, dtype=np.bool_)).tolist() == expected


def test_a_file_of_texts_is_read_again_and_not_when_it_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\n\ntwo\n one \nthree\x0cfour\n", encoding="utf-8")
    texts = TextFile(path, "d")
    assert [text.text for text in texts] == [text.text for text in texts] == ["one", "two", "three", "four"]
    assert list(texts) == read_texts(path, "d")
    assert (len(texts), texts.lines, texts.blank, texts.duplicates) == (4, 6, 1, 1)
    path.write_text("one\ntwo\nthree\nfive\n", encoding="utf-8")
    with pytest.raises(DataError, match="was changed"):
        list(texts)
