"""Transcripts in the forms of other tools: read back, they are what they were."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from speech_analogy.cli.main import app
from speech_analogy.errors import DataError
from speech_analogy.evaluation.given.files import read_given
from speech_analogy.evaluation.given.writing import COLUMNS, written
from speech_analogy.evaluation.results import Hypothesis, Results, read_hypotheses
from speech_analogy.report import ranking
from tests.report.fake_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "run"
    make_run(folder, count=12)
    return folder


@pytest.fixture(scope="module")
def rows(run: Path) -> list[Hypothesis]:
    about = ranking.subject(Results.read(run / "results.json"))
    assert about is not None
    return read_hypotheses(run / about.hypotheses_file)


def printed(run: Path, *more: str) -> str:
    done = CliRunner().invoke(app, ["hypotheses", str(run), *more])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_nemo_has_both_texts_and_the_recording(run: Path, rows: list[Hypothesis]) -> None:
    lines = [json.loads(line) for line in printed(run).splitlines()]
    assert [(line["text"], line["pred_text"], line["duration"]) for line in lines] == [
        (row.reference, row.hypothesis, row.duration_s) for row in rows
    ]
    assert all(Path(line["audio_filepath"]).is_file() for line in lines)


def test_trn_read_back_is_the_transcripts_or_the_references(run: Path, rows: list[Hypothesis], tmp_path: Path) -> None:
    for more, name in (([], "hypothesis"), (["--references"], "reference")):
        file = tmp_path / f"{name}.trn"
        printed(run, "--format", "trn", "--out", str(file), *more)
        found = {one.id: one.text for one in read_given(file)}
        assert found == {row.id: " ".join(getattr(row, name).split()) for row in rows}


def test_csv_is_a_row_an_utterance_with_its_errors(run: Path, rows: list[Hypothesis]) -> None:
    head, *found = csv.reader(printed(run, "--format", "csv").splitlines())
    assert tuple(head) == COLUMNS
    assert [one[5] for one in found] == [row.reference for row in rows]
    assert sum(int(one[7]) for one in found) == sum(row.substitutions + row.deletions + row.insertions for row in rows)


def test_any_system_can_be_asked_for_and_an_unknown_one_is_one_line(run: Path) -> None:
    assert printed(run, "--system", "target_synthetic") != printed(run)
    wrong = CliRunner().invoke(app, ["hypotheses", str(run), "--system", "mixt"])
    assert isinstance(wrong.exception, DataError)
    assert "did you mean 'mixed'?" in str(wrong.exception)
    refused = CliRunner().invoke(app, ["hypotheses", str(run), "--references"])
    assert "--references" in str(refused.exception)


@pytest.mark.parametrize("name", ["a b", "a(1)", "tab\tid"])
def test_an_id_that_trn_cannot_hold_is_refused(rows: list[Hypothesis], name: str) -> None:
    odd = [rows[0].model_copy(update={"id": name})]
    with pytest.raises(DataError, match="trn"):
        written(odd, "trn", Path())
    assert json.loads(written(odd, "nemo", Path()))["pred_text"] == rows[0].hypothesis


def test_a_text_of_several_lines_stays_one_line(rows: list[Hypothesis]) -> None:
    odd = [rows[0].model_copy(update={"hypothesis": "two\nlines", "id": "u"})]
    assert written(odd, "trn", Path()) == "two lines (u)\n"
    assert written([odd[0].model_copy(update={"hypothesis": ""})], "trn", Path()) == "(u)\n"
