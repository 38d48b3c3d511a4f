"""recipes/phone_line/prepare.py: on three made prompts, and its texts against Debian's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from speech_analogy.corpora import read_corpus
from speech_analogy.corpora.asterisk import identity_of, read_texts
from tests.conftest import recipe_script
from tests.corpora.sounds import write_tone

RECIPE = Path(__file__).parents[2] / "recipes/phone_line"
COPYRIGHT = (
    "Files: *\nLicense: CC-BY-SA-3.0\nLicense: CC-BY-SA-3.0\n THE WORK (AS DEFINED BELOW)\n .\n 1. a\n"
    "\nLicense: X\n no\n"
)
TEXTS = "letters/a: a\nphonetic/x_p: xray\nvm-long: long\nbeep: [a beep]\n"


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return recipe_script("phone_line")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What the two Debian packages hold, in small: one prompt is longer than Whisper's window."""
    for name, seconds in {"letters/a": 0.5, "phonetic/x_p": 1.0, "vm-long": 30.5, "beep": 0.2}.items():
        wave = write_tone(tmp_path / f"sounds/{name}.source.wav", seconds)
        target = tmp_path / f"sounds/{name}.g722"
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(wave), "-f", "g722", str(target)], check=True)
        wave.unlink()
    (tmp_path / "texts.txt").write_text(TEXTS)
    (tmp_path / "copyright").write_text(COPYRIGHT)
    return tmp_path


def arguments(package: Path, out: Path) -> list[str]:
    given = {
        "sounds": package / "sounds",
        "texts": package / "texts.txt",
        "copyright": package / "copyright",
        "out": out,
    }
    return ["prepare.py", *(part for name, path in given.items() for part in (f"--{name}", str(path)))]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_makes_readable_data_twice_the_same(
    prepare: ModuleType, package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for out in (package / "one", package / "two"):
        monkeypatch.setattr(sys, "argv", arguments(package, out))
        assert prepare.main() == 0
        made.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert made[0] == made[1]
    assert "left out: vm-long lasts 30.5 s" in capsys.readouterr().out
    assert {str(path) for path in made[0]} == {
        "audio/letters-a.opus", "audio/phonetic-x_p.opus", "metadata.jsonl", "LICENSE-CC-BY-SA-3.0.txt",
    }  # fmt: skip
    cuts = read_corpus("folder", package / "one", progress=False).cuts
    assert [(cut.id, cut.supervisions[0].text, cut.custom["domain"], cut.duration) for cut in cuts] == [
        ("letters-a", "a", "letters", 0.5),
        ("phonetic-x_p", "x-ray", "phonetic", 1.0),
    ]
    licence = (package / "one/LICENSE-CC-BY-SA-3.0.txt").read_text()
    assert licence.splitlines()[2:] == ["THE WORK (AS DEFINED BELOW)", "", "1. a"]
    assert prepare.main() == 2
    assert "the data exist" in capsys.readouterr().err


@pytest.mark.parametrize("absent", ["sounds", "texts.txt", "copyright"])
def test_what_is_missing_is_named(
    prepare: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    absent: str,
) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "texts.txt").write_text(TEXTS)
    (tmp_path / "copyright").write_text(COPYRIGHT)
    (tmp_path / absent).rename(tmp_path / "away")
    monkeypatch.setattr(sys, "argv", arguments(tmp_path, tmp_path / "out"))
    assert prepare.main() == 2
    assert str(tmp_path / absent) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_committed_texts_are_debians_with_the_corrections(prepare: ModuleType) -> None:
    if not prepare.TEXTS.is_file():
        pytest.skip("needs Debian's asterisk-core-sounds-en")
    raw = read_texts(prepare.TEXTS)
    lines = (RECIPE / "data/metadata.jsonl").read_text(encoding="utf-8").splitlines()
    committed = {row["id"]: row["text"] for row in map(json.loads, lines)}
    spoken = {
        identity_of(name): prepare.CORRECTIONS.get(name) or prepare.spoken_text(text) for name, text in raw.items()
    }
    assert committed == {identity: spoken[identity] for identity in committed}
    left_out = {identity for identity, text in spoken.items() if text} - committed.keys()
    assert left_out == {
        "demo-congrats",
        "demo-instruct",
        "priv-callee-options",
        "pls-try-call-later",
    }  # too long; no audio
    assert prepare.CORRECTIONS.keys() <= raw.keys()
