"""The table of domains against a hand computation; joined, written, read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import stdev

import pytest

from speech_analogy.errors import ConfigError, DataError
from speech_analogy.evaluation.domain_table import DomainRow, DomainTable, join
from speech_analogy.report.domains import table_markdown


def test_averages_by_hand() -> None:
    rows = [
        DomainRow("a", "", 10, 0.5, {"target_synthetic": 50.0, "analogy": 40.0}),
        DomainRow("b", "", 30, 1.0, {"target_synthetic": 20.0, "analogy": 22.0}),
    ]
    table = DomainTable("t", "n", ["a", "b", "c"], rows)
    assert table.average("target_synthetic") == pytest.approx(35.0)
    assert table.average("analogy") == pytest.approx(31.0)
    assert table.average_relative("target_synthetic") == pytest.approx((0.2 - 0.1) / 2)


def test_seeds_by_hand() -> None:
    """Means over seeds, and their spread; a seed without all of its domains is not in the average's."""
    found = [("a", 1, 50, 40), ("b", 1, 20, 22), ("a", 2, 54, 44), ("b", 2, 24, 20), ("a", 3, 58, 30)]
    rows = [DomainRow(d, "", 10, 0.5, {"target_synthetic": c, "analogy": o}, s) for d, s, c, o in found]
    table = DomainTable("t", "n", ["a", "b"], rows, [1, 2, 3])
    assert table.wer("a", "target_synthetic") == pytest.approx(54)
    assert table.spread("a", "target_synthetic") == pytest.approx(4)
    assert table.average("analogy") == pytest.approx(((40 + 44 + 30) / 3 + 21) / 2)
    assert table.average_spread("analogy") == pytest.approx(stdev([31, 32]))
    assert table.relative("a", "target_synthetic") == pytest.approx((54 - 38) / 54)


def _row(domain: str, seed: int, edits: dict[str, list[int]], strategies: dict[str, float] | None = None) -> DomainRow:
    """Four utterances of ten words of two speakers."""
    ids = [f"{domain}{number}" for number in range(4)]
    wer = {name: 100 * sum(found) / (10 * len(found)) for name, found in edits.items()}
    curve = {"0": 60.0, "0.5": 40.0, "1": 45.0}
    return DomainRow(
        domain, "", 4, 0.5, wer, seed, curve, strategies or {}, {}, ids, ["s", "s", "t", "t"], [10] * 4, edits
    )


OTHERS = {"target_synthetic": [4, 4, 4, 4], "random_vector": [5, 5, 5, 5, 3, 3, 3, 3]}


def test_comparisons_by_hand() -> None:
    """Pooled over rows; a control of two draws meets the analogy twice; Holm takes the smaller p times two."""
    edits = {"a": [1, 1, 3, 3], "b": [2, 2, 2, 2], "c": [2, 2, 2, 2]}
    rows = [
        replace(_row(d, 0, {"analogy": own, **OTHERS}), clusters=[d + n for n in "1234"]) for d, own in edits.items()
    ]
    table = DomainTable("t", "", ["a", "b", "c"], rows, [0])
    found = {one.against: one for one in table.comparisons()}
    assert found["target_synthetic"].difference == pytest.approx(100 * (24 - 48) / 120)
    assert found["random_vector"].difference == pytest.approx(100 * (48 - 96) / 240)
    assert found["random_vector"].relative == pytest.approx(-0.5)
    p_values = {name: one.p_value for name, one in found.items()}
    assert p_values == {"target_synthetic": 2 / 4096, "random_vector": 2 / 4096}  # of 2¹² signs the two extremes
    assert [one.p_holm for one in found.values()] == [4 / 4096, 4 / 4096]
    assert table.clusters == 12
    assert "†" not in table_markdown(table)


def test_too_few_speakers_give_no_p_value() -> None:
    """Twelve utterances of two speakers: a marked interval, and a dash for the p-values."""
    rows = [_row(d, 0, {"analogy": [1, 1, 3, 3], **OTHERS}) for d in "abc"]
    table = DomainTable("t", "", ["a", "b", "c"], rows, [0])
    assert [(one.p_value, one.p_holm) for one in table.comparisons()] == [(None, None)] * 2
    text = table_markdown(table)
    assert "† With 2 clusters, fewer than 10, the intervals are too narrow to trust, and no p-value is given." in text
    assert [
        line for line in text.splitlines() if line.startswith("| target_synthetic ") and line.endswith("† | – | – |")
    ]


def test_regret_by_hand() -> None:
    edits = {"analogy": [1, 1, 3, 3]}
    rows = [
        _row("a", 0, edits, {"source_dev": 1.0, "fixed": 0.5}),
        _row("b", 0, edits, {"source_dev": 0.0, "fixed": 0.5}),
    ]
    table = DomainTable("t", "", ["a", "b"], rows, [0])
    assert table.regrets() == {"source_dev": [5.0, 20.0], "fixed": [0.0, 0.0]}
    lines = table_markdown(table).splitlines()
    assert "| fixed | 0.00 | 0.00 | 0.5 |" in lines
    assert "| source_dev | 12.50 | 20.00 | 0 to 1 |" in lines


def test_joined_tables_have_each_row_once_and_in_order() -> None:
    edits = {"analogy": [1, 1, 3, 3], "target_synthetic": [4, 4, 4, 4]}
    one = DomainTable("t", "", ["a", "b"], [_row("b", 1, edits), _row("a", 1, edits)], [1], "key")
    better = {**edits, "analogy": [0, 0, 0, 0]}
    other = DomainTable("t", "", ["a", "b"], [_row("a", 0, edits), _row("a", 1, better)], [0, 1], "key")
    both = join([one, other])
    assert both is not None
    assert [(row.seed, row.domain) for row in both.rows] == [(0, "a"), (1, "a"), (1, "b")]
    assert both.rows[1].wer["analogy"] == 20.0  # the first table's counts
    assert both.seeds == [0, 1]
    assert "Under way: 3 of 4" in table_markdown(both)
    assert join([both, one, other]) == both
    assert join([]) is None


def test_tables_of_other_recipes_or_recordings_are_not_joined() -> None:
    one = DomainTable("t", "", ["a"], [_row("a", 0, {"analogy": [1] * 4})], [0], "key")
    with pytest.raises(ConfigError, match="one recipe"):
        one.joined(DomainTable("t", "", ["a"], [], [0], "another"))
    heard = _row("a", 1, {"analogy": [1] * 4})
    heard.ids[0] = "another"
    with pytest.raises(ConfigError, match="different test utterances"):
        one.joined(DomainTable("t", "", ["a"], [heard], [1], "key"))


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    edits = {"analogy": [1, 1, 3, 3]}
    table = DomainTable("t", "é", ["a"], [_row("a", 0, edits), _row("a", 1, edits)], [0, 1], "key")
    table.write(tmp_path / "domains.json")
    assert DomainTable.read(tmp_path / "domains.json") == table
    assert len([line for line in (tmp_path / "domains.json").read_text().splitlines() if '"ids"' in line]) == 2
    DomainTable("t", "", [], []).write(tmp_path / "domains.json")
    assert DomainTable.read(tmp_path / "domains.json").rows == []


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1}', '{"schema": 2, "rows": [{}]}', "[]"])
def test_what_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="no table of domains here"):
        DomainTable.read(tmp_path / "domains.json")
    (tmp_path / "domains.json").write_text(text)
    with pytest.raises(DataError, match="not a table of domains"):
        DomainTable.read(tmp_path / "domains.json")
