"""What lies at a path is recognised by the reader that is made for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.corpora.read import kind_of
from tests.conftest import make_corpus


def _folder(path: Path) -> Path:
    return make_corpus(path, 2)


def _table(path: Path) -> Path:
    return make_corpus(path, 2) / "metadata.csv"


def _manifest(path: Path) -> Path:
    path.mkdir()
    file = path / "train.json"
    file.write_text(json.dumps({"audio_filepath": "a.wav", "text": "a", "duration": 1}) + "\n", encoding="utf-8")
    return file


def _kaldi(path: Path) -> Path:
    for name in ("WAVE", "train"):
        (path / name).mkdir(parents=True)
    return path


def _slurp(path: Path) -> Path:
    (path / "dataset" / "slurp").mkdir(parents=True)
    return path


def _asterisk(path: Path) -> Path:
    (path / "digits").mkdir(parents=True)
    (path / "digits" / "1.gsm").touch()
    return path


def _saved(path: Path) -> Path:
    path.mkdir()
    (path / "dataset_dict.json").write_text("{}", encoding="utf-8")
    return path


def _empty(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_folder, "folder"),
        (_table, "folder"),
        (_manifest, "nemo"),
        (_kaldi, "speechocean762"),
        (_slurp, "slurp"),
        (_asterisk, "asterisk"),
        (_saved, "huggingface"),
        (_empty, None),
    ],
)
def test_kind(tmp_path: Path, make: object, kind: str | None) -> None:
    assert callable(make)
    assert kind_of(make(tmp_path / "corpus")) == kind


def test_a_path_with_nothing_is_of_no_kind(tmp_path: Path) -> None:
    assert kind_of(tmp_path / "absent") is None
