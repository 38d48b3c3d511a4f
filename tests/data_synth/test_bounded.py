"""What holds a million rows: indices and fingerprints that agree with dictionaries, texts read when asked for."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.plan.casting import find_voices
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import Plan
from data_synth.store import key_index
from data_synth.store.key_index import KeyIndex
from data_synth.store.ledger import Ledger
from data_synth.synthesize import make_plans
from data_synth.text.fingerprints import Fingerprints
from data_synth.text.texts import Text, TextFile, read_texts
from speech_analogy.errors import DataError
from tests.data_synth.test_ledger import row

KEYS = st.integers(0, 40).map(lambda number: f"{number * 2**57:016x}" + "0" * 48)


@settings(max_examples=60, deadline=None)
@given(keys=st.lists(KEYS, max_size=60), recent=st.integers(1, 9))
def test_an_index_is_a_dictionary_of_lists(keys: list[str], recent: int) -> None:
    expected: dict[str, list[int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_index, "RECENT_KEYS", recent)
        index = KeyIndex()
        for offset, key in enumerate(keys):
            index.add(key, offset)
            expected.setdefault(key, []).append(offset)
            assert index.offsets(key) == expected[key]
    assert len(index) == len(keys)
    assert all(index.offsets(key) == offsets for key, offsets in expected.items())
    assert [[index.offset(place) for place in group] for group in index.groups()] == [
        expected[key] for key in sorted(expected)
    ]
    for prefix in {key[:3] for key in expected}:
        assert index.beginning(prefix) == [
            offset for key in sorted(expected) if key.startswith(prefix) for offset in expected[key]
        ]


def test_keys_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    """The keys of these rows share their first 64 bits, and more."""
    ledger = Ledger(tmp_path)
    ledger.append([row(number) for number in (5, 2, 9)])
    ledger.append([row(2, reason="newer")])
    for one in (ledger, Ledger(tmp_path)):
        found = one.find(row(2).key)
        assert found is not None
        assert found.reason == "newer"
        assert one.find(row(3).key) is None
        assert one.find("not hexadecimal") is None
        assert [each.text_id for each in one.rows.values()] == ["5", "9", "2"]
        assert len(one.rows) == 3


def test_a_ledger_is_found_in_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "RECENT_KEYS", 7)
    dice = random.Random(0)
    ledger = Ledger(tmp_path)
    rows = {f"{dice.getrandbits(256):064x}": number for number in range(100)}
    for key, number in rows.items():
        ledger.append([row(number, key=key)])
        known = dice.choice(list(rows)[: number + 1])
        found = ledger.find(known)
        assert found is not None
        assert found.seed == rows[known]
    order = dice.sample(list(rows), 60)
    ledger.rewrite(order)
    assert list(ledger.rows) == list(Ledger(tmp_path).rows) == [*order, *sorted(set(rows) - set(order))]
    assert all(one.seed == rows[key] for key, one in ledger.rows.items())


def test_a_rewriting_that_fails_changes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append([row(1), row(2)])
    before = ledger.path.read_bytes()

    def fail() -> None:
        with ledger.rewriting() as place:
            place(row(2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ledger.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [ledger.path.name]


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
    import numpy as np

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


@pytest.mark.usefixtures("plugin")
def test_a_plan_is_a_stream_that_can_be_read_again() -> None:
    texts = [Text.of(f"say {number}" if number % 3 else "?" * number) for number in range(1, 40)]
    options = SynthesisOptions.parse({"engines": "fake", "voices_per_text": 2})
    plan = Plan(texts, find_voices(options.engines), options)
    first = next(iter(plan))
    assert first.text == texts[0]
    assert [text.text for text in plan] == [text.text for text in plan] == texts
    assert [text.number for text in islice(plan, 6)] == [0, 1, 0, 2, 3, 1]
    assert [clip for text in plan for clip in text.clips] == make_plans(texts, find_voices(options.engines), options)
