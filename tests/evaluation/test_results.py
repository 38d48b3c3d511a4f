"""Results and hypotheses come back as they were written, and what is wrong with a file is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Hypothesis, Results, read_hypotheses, write_hypotheses


def _row(text: str) -> Hypothesis:
    return Hypothesis(
        id="1", domain="d", speaker="s", cluster="c", audio="", duration_s=1.0, reference="one", hypothesis=text,
        reference_normalised="one", hypothesis_normalised=text, substitutions=0, deletions=0, insertions=0, words=1,
    )  # fmt: skip


def test_hypotheses_may_hold_any_line_break(tmp_path: Path) -> None:
    rows = [_row("one\u2028two\x85three\ntwo\x0b"), _row("naïve")]
    write_hypotheses(rows, tmp_path / "h.jsonl")
    assert read_hypotheses(tmp_path / "h.jsonl") == rows


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{}\n", "line 1 is not a hypothesis: id: Field required"),
        ("\n[\n", "line 2 is not a hypothesis: .*Invalid JSON"),
        ('{"idd": 1}\n', "line 1 is not a hypothesis"),
    ],
)
def test_a_file_of_hypotheses_that_is_none(tmp_path: Path, content: str, rule: str) -> None:
    (tmp_path / "h.jsonl").write_text(content)
    with pytest.raises(DataError, match=rule) as caught:
        read_hypotheses(tmp_path / "h.jsonl")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="hypotheses file is missing"):
        read_hypotheses(tmp_path / "other.jsonl")


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"{", "not a results file: .*Invalid JSON"),
        (b"{}", "not a results file: test: Field required"),
        (b'{"schema": 2}', r"not a results file: schema: there is no such value \(found 2\); use 1"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_results_file_that_is_none(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rule) as caught:
        Results.read(path)
    assert "\n" not in str(caught.value)
