"""`speech-analogy score`: hypotheses of any system, scored as `evaluate` scores ours."""

from __future__ import annotations

import json
from pathlib import Path

import jiwer
import pytest
from typer.testing import CliRunner

from speech_analogy.cli.main import app
from speech_analogy.foundation.program import run

REFERENCES = {"a": "two portions of pad thai", "b": "the green curry please", "c": "no onions"}
OURS = {"a": "two portions of pad tie", "b": "the green curry please", "c": "no onion rings"}
THEIRS = {"a": "to portions of pad thai", "b": "the green hurry please", "c": "no onions"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    for path, texts in ((ours, OURS), (theirs, THEIRS)):
        rows = [{"id": name, "text": REFERENCES[name], "pred_text": heard} for name, heard in texts.items()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ours, theirs


def test_word_error_rates_are_jiwers(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["score", *map(str, files), "--out", str(out)])
    assert done.exit_code == 0, done.output
    content = json.loads((out / "results.json").read_text(encoding="utf-8"))
    for system, texts in zip(content["systems"], (OURS, THEIRS), strict=True):
        expected = jiwer.process_words([*REFERENCES.values()], [*texts.values()])
        counts = (expected.substitutions, expected.deletions, expected.insertions)
        assert (system["substitutions"], system["deletions"], system["insertions"]) == counts
    assert len(content["comparisons"]) == 1


def test_terms_are_counted(files: tuple[Path, Path], tmp_path: Path) -> None:
    terms = tmp_path / "terms.txt"
    terms.write_text("pad thai\ngreen curry\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["score", *map(str, files), "--terms", str(terms)])
    assert done.exit_code == 0, done.output
    assert "50.0" in done.output  # each system hears one of the two


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(app, "speech-analogy", ["score", str(tmp_path / "none.jsonl")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
