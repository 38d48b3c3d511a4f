"""The ranking, the corrected p-values and the strategies: in results.md and on the page, where a run has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.evaluation.results import Results, StrategyChoice
from speech_analogy.evaluation.significance import holm
from speech_analogy.foundation.page import wording
from speech_analogy.report import markdown, ranking
from speech_analogy.report.report import write_report
from speech_analogy.report.screen import table
from tests.report.reading import Page, rows_of


def _full(results: Results) -> Results:
    """The made-up run with a random control, forgetting, corrected p-values and two strategies."""
    control = results.systems[0].model_copy(
        update={"name": "random_vector", "scale": 0.75, "chosen": True, "wer_of_seeds": [49.0, 51.0], "wer": 50.0}
    )
    kept = [one.model_copy(update={"source_wer": 20.0 + place}) for place, one in enumerate(results.systems)]
    corrected = holm({row.against: row.p_value for row in results.comparisons})
    compared = [row.model_copy(update={"p_holm": corrected[row.against]}) for row in results.comparisons]
    assert results.selection is not None
    chosen = [
        StrategyChoice(strategy="source_dev", scale=0.75, chosen_on="speech", taken=True, regret=1.25),
        StrategyChoice(strategy="agreement", scale=1.0, chosen_on="agreement on speech", regret=0.0),
    ]
    return results.model_copy(
        update={
            "systems": [*kept, control],
            "comparisons": compared,
            "selection": results.selection.model_copy(update={"strategies": chosen}),
        }
    )


def test_systems_are_ranked_once_each_by_wer(results: Results) -> None:
    found = ranking.ranked(_full(results))
    names = [system.name for system in found]
    assert sorted(names) == sorted({system.name for system in results.systems} | {"random_vector"})
    assert [system.wer for system in found] == sorted(system.wer for system in found)
    assert next(system.scale for system in found if system.name == "analogy") == 0.75


def test_markdown_ranks_with_corrected_p_values(results: Results) -> None:
    full = _full(results)
    rows = rows_of(markdown.render(full), "rank")
    ranked = ranking.ranked(full)
    assert [row[0] for row in rows] == [str(place) for place in range(1, len(ranked) + 1)]
    for row, system in zip(rows, ranked, strict=True):
        assert row[2] == wording.rate(system.wer)
        assert row[4] == (f"{49.0}, {51.0}" if system.wer_of_seeds else "")
        assert row[5] == ("" if system.source_wer is None else wording.rate(system.source_wer))
        compared = next((c for c in full.comparisons if c.against == system.name), None)
        assert row[6] == (wording.signed(compared.difference) if compared else "")
        assert row[8] == (wording.p_value(ranking.p_of(compared)) if compared else "")
    assert "Holm" in markdown.render(full)
    assert "Holm" not in markdown.render(results)


def test_page_ranks_the_same(run: Path, results: Results) -> None:
    full = _full(results)
    full.write(run / "results.json")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    rows = page.tables["Systems by word error rate"][1:]
    expected = rows_of(markdown.render(full), "rank")
    assert [[row[0], row[2], row[4], row[5], row[6], row[8]] for row in rows] == [
        [row[0], row[2], row[4], row[5], row[6], row[8]] for row in expected
    ]
    strategies = page.tables["Strategies that choose λ"][1:]
    assert [row[:3] for row in strategies] == [["source dev", "0.75", "1.2"], ["agreement", "1", "0.0"]]
    assert [row[-1] for row in page.tables["Paired comparisons"][1:]] == [
        wording.p_value(ranking.p_of(row)) for row in full.comparisons
    ]


def test_what_is_kept_stands_beside_what_is_won(run: Path, made: Path, results: Results) -> None:
    """Over λ, as a figure and as numbers; a run that did not evaluate source speech has neither."""
    full = _full(results)
    full.write(run / "results.json")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "What is kept of the source" in page.section("scale")
    head, *rows = page.tables["WER over λ"]
    assert head[-1] == "source WER %"
    kept = {row[0]: row[-1] for row in rows}
    grid = [system for system in full.systems if system.name == "analogy"]
    assert grid
    for system in grid:
        assert system.source_wer is not None
        assert kept[wording.scale(system.scale)] == wording.rate(system.source_wer)
    before = Page((made / "report.html").read_text(encoding="utf-8"))
    assert "What is kept" not in before.section("scale")
    assert before.tables["WER over λ"][0][-1] == "95 % CI"


def test_corrected_p_values_are_what_is_judged_by(results: Results) -> None:
    row = results.comparisons[0].model_copy(update={"p_value": 0.01, "p_holm": 0.2})
    assert ranking.p_of(row) == 0.2
    assert ranking.p_of(row.model_copy(update={"p_holm": None})) == 0.01
    about = results.model_copy(update={"comparisons": [row, *results.comparisons[1:]]})
    assert "p = 0.200" in table(about)


@pytest.mark.parametrize("field", ["source_wer", "wer_of_seeds", "p_holm", "strategies", "scopes"])
def test_what_a_run_has_not_is_not_written(made: Path, results: Results, field: str) -> None:
    """Results of a run without it read and write as they did before there was such a field."""
    assert field not in (made / "results.json").read_text()
    full = _full(results)
    if field != "scopes":
        assert field in full.model_dump_json()
    assert Results.model_validate_json(full.model_dump_json(by_alias=True)) == full
