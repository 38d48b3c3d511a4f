"""recipes/demo/prepare.py: on a made corpus, and the committed data against the real one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import recipe_script
from tests.corpora.sounds import SHARED, write_tone

RECIPE = Path(__file__).parents[2] / "recipes" / "demo"
FIELDS = ("id", "split", "domain", "text", "speaker", "seconds")
ROWS = [
    ("1", "train", "animals", "a short one", "s1", 1.5),
    ("2", "train", "animals", "a long one", "s1", 5.5),
    ("3", "train", "clothing", "my hat", "s2", 2.0),
    ("4", "train", "food", "warm soup", "s2", 1.5),
    ("5", "train", "places", "to the park", "s1", 1.5),
    ("6", "train", "child-other", "warm soup", "s1", 1.5),  # as a target text has it
    ("7", "train", "adult-other", "fresh bread", "s2", 1.5),  # as a test text has it
    ("8", "train", "adult-other", "good morning", "s2", 1.5),
    ("9", "train", "numbers", "one two", "s2", 1.5),
    ("10", "test", "food", "Fresh bread", "t1", 6.0),
    ("11", "test", "animals", "a cat", "t1", 1.5),
]


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return recipe_script("demo")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    lines = []
    for values in ROWS:
        row = dict(zip(FIELDS, values, strict=True))
        audio = f"audio/{row['id']}.wav"
        write_tone(root / audio, float(str(row["seconds"])))
        lines.append(json.dumps({**row, "audio": audio}) + "\n")
    (root / "utterances.jsonl").write_text("".join(lines))
    return root


def _rows(part: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (part / "metadata.jsonl").read_text().splitlines()]


def test_target_recordings_stay_behind(prepare: ModuleType, corpus: Path, tmp_path: Path) -> None:
    source, texts, test = prepare.prepare(corpus, tmp_path / "data", overwrite=False)
    assert [row.id for row in source] == ["1", "3", "8"]  # short, no target's topic, no text of target or test
    assert texts == ["to the park", "warm soup"]
    assert [row.id for row in test] == ["10"]
    assert (tmp_path / "data/target_texts.txt").read_text() == "to the park\nwarm soup\n"
    for part, rows in (("source", source), ("test", test)):
        folder = tmp_path / "data" / part
        assert [row["id"] for row in _rows(folder)] == [row.id for row in rows]
        assert {path.stem for path in (folder / "audio").iterdir()} == {row.id for row in rows}


def test_twice_the_same(prepare: ModuleType, corpus: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        prepare.prepare(corpus, tmp_path / name, overwrite=False)
        made.append({file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.*")})
    assert made[0] == made[1]


def test_what_is_missing_or_there_is_named(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare.py", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert prepare.main() == 2
    assert "the corpus is not there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sys, "argv", ["prepare.py", "--data", str(tmp_path)])
    assert prepare.main() == 2
    assert "the data exist" in capsys.readouterr().err


def test_committed_data_are_the_corpus(prepare: ModuleType, tmp_path: Path) -> None:
    if not (SHARED / "speechocean762").is_dir():
        pytest.skip("the speechocean762 data are not beside the checkout (../shared/data/speechocean762)")
    prepare.prepare(SHARED / "speechocean762", tmp_path / "data", overwrite=False)
    for file in (tmp_path / "data").rglob("*.*"):
        assert file.read_bytes() == (RECIPE / "data" / file.relative_to(tmp_path / "data")).read_bytes(), file
