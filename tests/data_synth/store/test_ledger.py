"""The ledger: keys of everything a clip is made from, torn lines mended, broken ones told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from data_synth.plan.attempt import clip_key
from data_synth.store.ledger import LEDGER_NAME, Ledger
from speech_analogy.errors import DataError
from tests.data_synth.rows import row


def test_the_key_is_the_sha256_of_the_canonical_json() -> None:
    document = '{"engine":"e","parameters":{"pitch":50,"speed":1.0},"revision":"1","seed":3,"text":"zoë","voice":"v"}'
    expected = hashlib.sha256(document.encode("utf-8")).hexdigest()
    assert clip_key("zoë", "e", "v", "1", {"speed": 1.0, "pitch": 50}, 3) == expected


@pytest.mark.parametrize(
    "changed",
    [
        ("b", "e", "v", "1", {"s": 1}, 0),
        ("a", "f", "v", "1", {"s": 1}, 0),
        ("a", "e", "w", "1", {"s": 1}, 0),
        ("a", "e", "v", "2", {"s": 1}, 0),
        ("a", "e", "v", "1", {"s": 2}, 0),
        ("a", "e", "v", "1", {"s": 1}, 1),
    ],
)
def test_every_part_enters_the_key(changed: tuple[str, str, str, str, dict[str, int | float | str], int]) -> None:
    assert clip_key(*changed) != clip_key("a", "e", "v", "1", {"s": 1}, 0)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [row(1), row(2, status="rejected", reason="level", path=None, duration_s=None, sha256=None)]
    Ledger(tmp_path).append(rows)
    assert list(Ledger(tmp_path).rows.values()) == rows


def test_a_last_line_torn_at_any_byte_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    Ledger(tmp_path).append([row(1), row(2)])
    path = tmp_path / LEDGER_NAME
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole)):
        path.write_bytes(whole[:size])
        ledger = Ledger(tmp_path)
        assert list(ledger.rows) == [row(1).key]
        assert path.read_bytes() == whole[:first]
        ledger.append([row(2)])
        assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    content = row(1).model_dump_json() + "\n{}\n" + row(2).model_dump_json() + "\n"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        Ledger(tmp_path)
    assert path.read_text(encoding="utf-8") == content


def test_rewriting_puts_rows_in_order_each_once_and_strangers_last(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in (9, 3, 1, 2, 3):
        ledger.append([row(number)])
    with ledger.rewriting() as place:
        for known in (row(2), row(1)):
            place(known)
    lines = [json.loads(line)["text_id"] for line in ledger.path.read_text(encoding="utf-8").split("\n") if line]
    assert lines == ["2", "1", "3", "9"]
    assert not list(tmp_path.glob("*.partial"))
