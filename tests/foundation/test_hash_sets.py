"""Sets of short hashes as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.foundation.hash_sets import HASH_CHARACTERS, packed, short_hash, unpacked


@given(st.sets(st.text()))
def test_a_set_comes_back(said: set[str]) -> None:
    hashes = {short_hash(one) for one in said}
    text = packed([*hashes, *hashes])
    assert unpacked(text) == hashes
    assert len(text) == HASH_CHARACTERS * len(hashes)


def test_hashes_are_of_all_parts() -> None:
    assert short_hash("a", 1) == short_hash("a", "1")
    assert len({short_hash("a", "b"), short_hash("ab"), short_hash("b", "a"), short_hash("a")}) == 4
