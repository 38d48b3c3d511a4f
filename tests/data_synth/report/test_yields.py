"""Yields against counts made by hand and by plain loops over small ledgers; memory on a long one."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.plan.attempt import LedgerRow
from data_synth.report import yield_tables
from data_synth.report.yields import YieldCounts, Yields, chance_of, measure, words_of
from data_synth.store.ledger import read_rows, reason_gate
from speech_analogy.errors import DataError
from tests.data_synth.report.ledgers import LEVEL, row, write


def tally(rows: list[LedgerRow]) -> Yields:
    made = YieldCounts()
    for one in rows:
        made.add(one)
    return made.result()


ROWS = [
    row("play jazz", "a", value=-20),
    row("play jazz", "b", value=-70),
    row("play jazz", "b", attempt=1, value=-30),
    row("Play Björk!", "a", domain="x", value=-70),
    row("Play Björk!", "a", domain="x", attempt=1, value=-71),
    row("stop", "a", domain="x", value=-20),
]


def test_a_ledger_counted_by_hand(tmp_path: Path) -> None:
    found = measure(write(tmp_path / "l", ROWS))
    assert (found.rows, found.asked, found.kept, found.seconds) == (6, 4, 3, 4.5)
    assert (found.texts, found.texts_without_clip) == (3, 1)
    assert [(y.name, y.asked, y.kept, y.attempts) for y in found.by_domain] == [("d", 2, 2, 3), ("x", 2, 1, 3)]
    assert [(y.name, y.asked, y.kept, y.attempts) for y in found.by_voice] == [("e:a", 3, 2, 4), ("e:b", 1, 1, 2)]
    assert [(y.name, y.share) for y in found.by_engine] == [("e", 0.75)]
    [gate] = found.by_gate
    assert (gate.name, gate.judged, gate.failed, gate.reason, gate.minimum) == (LEVEL, 6, 3, 3, -50.0)
    assert [(a.number, a.made, a.kept) for a in found.attempts] == [(1, 4, 2), (2, 2, 1)]
    assert (found.words, found.words_unheard) == (4, 1)
    # björk was asked for once and lost: as likely as one clip in four. jazz 2 of 2, play 2 of 3.
    assert found.lost_words == ()
    bands = [(b.low, b.high, b.words, b.unheard, b.asked, b.kept) for b in found.by_frequency]
    assert bands == [(1, 1, 2, 1, 2, 1), (2, 3, 2, 0, 5, 4)]


def test_words_that_one_gate_removes_are_found() -> None:
    easy = [row(f"play number {n}", value=-20) for n in range(200)]
    lost = [row(f"play Khruangbin {n}", value=-70 if n < 8 else -20) for n in range(10)]
    found = tally(easy + lost)
    [worst] = found.lost_words[:1]
    assert (worst.word, worst.asked, worst.kept, worst.gate) == ("khruangbin", 10, 2, LEVEL)
    assert worst.chance < 1e-6
    assert "number" not in {word.word for word in found.lost_words}
    assert "play" not in {word.word for word in found.lost_words}


@pytest.mark.parametrize(
    ("lost", "asked", "rate", "chance"),
    [
        (0, 5, 0.3, 1.0),
        (1, 1, 0.25, 0.25),
        (2, 2, 0.5, 0.25),
        (1, 2, 0.5, 0.75),
        (2, 3, 0.1, 3 * 0.01 * 0.9 + 0.001),
        (1, 4, 0.0, 0.0),
    ],
)
def test_chance_by_hand(lost: int, asked: int, rate: float, chance: float) -> None:
    assert chance_of(lost, asked, rate) == pytest.approx(chance)


values = st.sampled_from([None, -70.0, -20.0])
clips = st.lists(
    st.tuples(st.sampled_from(["a b", "b", "c c d"]), st.sampled_from("vw"), st.sampled_from("de"), values), max_size=30
)


@settings(max_examples=60)
@given(clips, st.randoms())
def test_totals_agree_and_order_changes_nothing(made: list[tuple[str, str, str, float | None]], dice: object) -> None:
    rows = [row(t, v, domain=d, attempt=n, value=value) for n, (t, v, d, value) in enumerate(made)]
    found = tally(rows)
    for table in (found.by_domain, found.by_engine, found.by_voice):
        assert sum(y.asked for y in table) == found.asked == sum(one.attempt == 0 for one in rows)
        assert sum(y.kept for y in table) == found.kept == sum(one.kept for one in rows)
        assert sum(y.attempts for y in table) == found.rows == len(rows)
        assert sum(y.seconds for y in table) == pytest.approx(found.seconds)
    assert sum(gate.reason for gate in found.by_gate) == sum(not one.kept for one in rows)
    vocabulary = {word for one in rows for word in one.text.split()}
    assert found.words == len(vocabulary)
    heard = {word for one in rows if one.kept for word in one.text.split()}
    assert found.words_unheard == len(vocabulary - heard)
    dice.shuffle(rows)  # type: ignore[attr-defined]
    assert tally(rows) == found


def test_texts_that_cannot_be_spoken_are_no_clips() -> None:
    dots = row("...", "", engine="").model_copy(update={"status": "rejected", "reason": "unspeakable: no letter"})
    found = tally([*ROWS, dots])
    assert (found.unspeakable, found.asked, found.texts, found.texts_without_clip) == (1, 4, 4, 2)
    assert {y.name for y in found.by_engine} == {"e"}
    assert {gate.name: gate.reason for gate in found.by_gate} == {LEVEL: 3, "unspeakable": 1}


def test_a_clip_made_again_counts_once(tmp_path: Path) -> None:
    once = measure(write(tmp_path / "once", ROWS))
    again = measure(write(tmp_path / "again", [*ROWS, ROWS[0], ROWS[2], ROWS[0]]))
    assert again == once


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "l", ROWS, end='{"key": "ab')
    before = (folder / "ledger.jsonl").read_bytes()
    found = measure(folder)
    assert found.torn
    assert found.rows == 6
    assert (folder / "ledger.jsonl").read_bytes() == before  # a report only reads
    assert not measure(write(tmp_path / "whole", ROWS)).torn


@pytest.mark.parametrize(("content", "said"), [("{}\n", "line 1 is not a row"), ("xyz\n", "line 1 is not a row")])
def test_a_broken_ledger_is_told(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "ledger.jsonl").write_text(content)
    with pytest.raises(DataError, match=said):
        list(read_rows(tmp_path))
    with pytest.raises(DataError, match="there is no ledger"):
        measure(tmp_path / "nowhere")


def test_an_empty_ledger_has_no_yields(tmp_path: Path) -> None:
    found = measure(write(tmp_path / "l", []))
    assert (found.rows, found.asked, found.share, found.by_voice, found.lost_words) == (0, 0, 0.0, (), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [("Play Björk's “Jóga”!", {"play", "björk's", "jóga"}), ("it’s", {"it's"}), ("a-b 3x", {"a", "b", "3x"})],
)
def test_words(text: str, words: set[str]) -> None:
    assert words_of(text) == words


def test_reasons() -> None:
    assert reason_gate(ROWS[1]) == LEVEL
    assert reason_gate(ROWS[1].model_copy(update={"reason": "engine: ValueError: x"})) == "engine"


def test_json_and_markdown_hold_the_same_numbers() -> None:
    found = tally(ROWS)
    content = json.loads(found.to_json())
    assert content["kept"] == 3
    assert [one["name"] for one in content["by_voice"]] == ["e:a", "e:b"]
    text = yield_tables.render(found)
    assert "3 of 4 clips kept (75.0 %)" in text
    assert "| e:a | 3 | 2 | 66.7 % | 4 |" in text
    odd = yield_tables.render(tally([row("x", "a|b`c")]))
    assert "e:a\\|b\\`c" in odd
    lines = [line for line in odd.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (5, 6) for line in lines)


def test_memory_does_not_grow_with_rows() -> None:
    """20,000 rows more cost no more than 60 bytes each: three 8-byte hashes in arrays that grow in steps."""

    def rows(count: int) -> Iterator[LedgerRow]:
        one = row("play some jazz", value=-20)
        return (one.model_copy(update={"key": f"{n:064x}", "text_id": str(n)}) for n in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        made = YieldCounts()
        for one in rows(count):
            made.add(one)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert made.result().rows == count
        return most

    assert peak(22_000) - peak(2_000) < 20_000 * 60
