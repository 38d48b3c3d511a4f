"""An index of a million rows agrees with a dictionary, and a ledger finds its rows by it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.store import key_index
from data_synth.store.key_index import KeyIndex
from data_synth.store.ledger import Ledger
from tests.data_synth.rows import row

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
    with ledger.rewriting() as place:
        for key in order:
            known_row = ledger.find(key)
            assert known_row is not None
            place(known_row)
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
