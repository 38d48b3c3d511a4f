"""results.md, the terminal's table and the wording of numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from speech_analogy.evaluation.measures.records import TargetWords
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.page import wording
from speech_analogy.report import markdown
from speech_analogy.report.screen import WIDTH, table
from tests.report.reading import rows_of


def test_markdown_has_every_system_with_its_numbers(made: Path, results: Results) -> None:
    text = (made / "results.md").read_text(encoding="utf-8")
    rows = rows_of(text, "system")
    assert len(rows) == len(results.systems)
    for system in results.systems:
        scale = "" if system.scale is None else f"{system.scale:g}" + (" (chosen)" if system.chosen else "")
        (row,) = [row for row in rows if f"(`{system.name}`)" in row[0] and row[1] == scale]
        assert row[2].strip("*") == f"{system.wer:.1f}"
        assert row[3] == f"{system.ci95[0]:.1f}–{system.ci95[1]:.1f}"
        assert row[6:9] == [str(system.substitutions), str(system.deletions), str(system.insertions)]
    assert sum("**" in row[2] for row in rows) == 1
    assert results.command in text
    assert results.test.note in text
    for comparison in results.comparisons:
        assert f"| {comparison.difference:+.1f} |".replace("-", "−") in text


def test_markdown_cells_cannot_be_broken_out_of() -> None:
    assert markdown.text("a | b\n# c <b> `d`") == r"a \| b \# c &lt;b> \`d\`"
    assert markdown.code("a`|\nb") == "a b"


def test_screen_is_aligned_narrow_and_complete(results: Results) -> None:
    text = table(results)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    head = next(i for i, line in enumerate(lines) if line.startswith("system"))
    rows = lines[head + 2 : head + 2 + len(results.systems)]
    end = lines[head].index("WER") + len("WER")
    found = sorted(float(row[:end].split()[-1]) for row in rows)
    assert found == sorted(round(system.wer, 1) for system in results.systems)
    assert text.count("0.75*") == 1
    for comparison in results.comparisons:
        assert f"{wording.signed(comparison.difference)} points" in text


def test_screen_stays_narrow_whatever_the_numbers(results: Results) -> None:
    grown = [
        system.model_copy(
            update={"name": f"a_system_with_a_very_long_name_{i}", "substitutions": 812_345, "insertions": 2_812_345}
        )
        for i, system in enumerate(results.systems)
    ]
    title = results.test.model_copy(update={"title": "long " * 40})
    lines = table(results.model_copy(update={"systems": grown, "test": title})).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum("…" in line for line in lines) == len(grown) + 1


def test_screen_without_systems_or_comparisons(results: Results) -> None:
    assert "system" in table(results.model_copy(update={"systems": [], "comparisons": []}))
    assert "against" not in table(results.model_copy(update={"comparisons": []}))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (wording.signed(-0.04), "0.0"),
        (wording.signed(-12.94), "−12.9"),
        (wording.signed(0.06), "+0.1"),
        (wording.p_value(0.0009), "< 0.001"),
        (wording.p_clause(0.0214), "p = 0.021"),
        (wording.relative(-0.235), "23.5 % fewer errors"),
        (wording.relative(0.5), "50.0 % more errors"),
        (wording.relative(-0.0001), "as many errors"),
        (wording.amount(2187.0), "2,187"),
        (wording.amount(3e-5), "3e-5"),
        (wording.amount(0.6249), "0.625"),
        (wording.amount("text"), "text"),
        (wording.duration(0.0), "0 s"),
        (wording.duration(8.42), "8.4 s"),
        (wording.duration(59.97), "1 min 00 s"),
        (wording.duration(3599.8), "1 h 00 min"),
        (wording.duration(7620), "2 h 07 min"),
        (wording.listing(["a", "b", "c"]), "a, b and c"),
        (wording.listing(["a"]), "a"),
        (wording.plural(1, "clip"), "1 clip"),
        (wording.plural(2187, "clip"), "2,187 clips"),
    ],
)
def test_wording(made: str, expected: str) -> None:
    assert made == expected


def test_the_report_imports_no_model_library() -> None:
    code = (
        "import sys, speech_analogy.report.report, speech_analogy.report.screen, speech_analogy.report.cards\n"
        "print([name for name in ('torch', 'transformers', 'lhotse') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_shows_one_table_of_details_on_the_screen(results: Results) -> None:
    words = TargetWords(vocabulary=9, words=40, errors=10, others=60, other_errors=3)
    update = {"target_words": words, "real_time_factor": 0.1, "loops": 0}
    changed = results.model_copy(
        update={"systems": [one.model_copy(update=update) for one in results.systems], "seconds": {"corpus": 1.0}}
    )
    assert "B-WER" in table(changed)
    assert "real-time factor" not in table(changed)
    assert "real-time factor" in table(changed.model_copy(update={"seconds": {}}))
    assert "real-time factor" in markdown.render(changed)
