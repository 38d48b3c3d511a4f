"""Several runs side by side: paired where they heard the same, and said where they did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from speech_analogy.cli.main import app
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results, read_hypotheses, write_hypotheses
from speech_analogy.report import ranking
from speech_analogy.report.deciding.several import COLUMNS, cells, compare_runs, notes
from tests.report.fake_run import make_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on the same utterances, of which the second's published system is the first's C; one on others."""
    folder = tmp_path_factory.mktemp("several")
    for name, count in (("one", 60), ("two", 60), ("three", 40)):
        make_run(folder / name, count=count)
    results = Results.read(folder / "two" / "results.json")
    results.model_copy(update={"published": "target_synthetic"}).write(folder / "two" / "results.json")
    return [folder / name for name in ("one", "two", "three")]


def test_the_difference_is_that_of_the_first_runs_own_comparison(runs: list[Path]) -> None:
    """The analogy of the first against C of the second, which are the same transcripts as the first's C."""
    first, second, third = compare_runs(runs)
    results = Results.read(runs[0] / "results.json")
    about = ranking.subject(results)
    assert about is not None
    (own,) = [one for one in results.comparisons if one.against == "target_synthetic"]
    assert second.system == "target_synthetic"
    assert second.against_first == pytest.approx(-own.difference)
    assert second.against_first_ci95 is not None
    low, high = second.against_first_ci95
    assert low < second.against_first < high
    assert second.p_holm is not None
    assert (first.wer, first.against_first) == (about.wer, None)
    assert (third.utterances, third.against_first, third.p_holm) == (40, None, None)
    assert notes([first, second, third])[1] == f"On other utterances than {runs[0]}, so not compared: {runs[2]}."
    assert all(len(cells(row)) == len(COLUMNS) for row in (first, second, third))


def test_other_references_are_another_test(runs: list[Path], tmp_path: Path) -> None:
    make_run(tmp_path / "edited")
    results = Results.read(tmp_path / "edited" / "results.json")
    about = ranking.subject(results)
    assert about is not None
    file = tmp_path / "edited" / about.hypotheses_file
    rows = read_hypotheses(file)
    write_hypotheses([rows[0].model_copy(update={"reference_normalised": "other words"}), *rows[1:]], file)
    assert compare_runs([runs[0], tmp_path / "edited"])[1].against_first is None
    assert compare_runs([runs[0], runs[1]])[1].against_first is not None


def test_one_run_or_the_same_twice_is_refused(runs: list[Path]) -> None:
    for given in ([runs[0]], [runs[0], runs[0]]):
        with pytest.raises(DataError, match="two runs or more, each once"):
            compare_runs(given)


def test_the_command_prints_a_table_or_json(runs: list[Path]) -> None:
    printed = CliRunner().invoke(app, ["report", *map(str, runs)])
    assert printed.exit_code == 0, printed.output
    assert [line.split()[0] for line in printed.stdout.splitlines()[1:4]] == list(map(str, runs))
    as_json = CliRunner().invoke(app, ["report", *map(str, runs), "--json"])
    assert [row["run"] for row in json.loads(as_json.stdout)] == list(map(str, runs))
    refused = CliRunner().invoke(app, ["report", *map(str, runs), "--good-enough", "10"])
    assert refused.exit_code != 0
