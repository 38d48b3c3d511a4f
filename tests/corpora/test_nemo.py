"""NeMo manifests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.corpora import read_corpus
from speech_analogy.errors import DataError
from tests.corpora.sounds import write_tone


def manifest(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "train.json"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_paths_fields_and_defaults(tmp_path: Path) -> None:
    write_tone(tmp_path / "wavs/a.wav")
    far = write_tone(tmp_path / "elsewhere/b.wav")
    (tmp_path / "manifests").mkdir()
    path = manifest(
        tmp_path / "manifests",
        [
            {"audio_filepath": "../wavs/a.wav", "text": "hello", "duration": 0.5, "speaker": 12, "lang": "de"},
            {"audio_filepath": str(far.resolve()), "text": "bye", "duration": 0.5, "domain": "end", "pnc": "yes"},
        ],
    )
    first, second = read_corpus("nemo", path, progress=False).cuts
    assert (first.supervisions[0].speaker, first.supervisions[0].language) == ("12", "de")
    assert (first.custom["domain"], first.duration) == ("train", 0.5)
    assert (second.custom["domain"], second.custom["pnc"], second.duration) == ("end", "yes", 0.5)
    assert second.supervisions[0].speaker == "unknown"


def test_segments_of_one_file(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav", 1.0)
    row: dict[str, object] = {"audio_filepath": "a.wav", "text": "x", "duration": 0.25}
    reading = read_corpus("nemo", manifest(tmp_path, [row | {"offset": n / 2} for n in range(3)]), progress=False)
    assert [(cut.id, cut.start, cut.duration) for cut in reading.cuts] == [("a-0", 0.0, 0.25), ("a-1", 0.5, 0.25)]
    assert [(problem.id, problem.rule) for problem in reading.problems] == [("a-2", "the span lies outside the audio")]


def test_faults(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    good: dict[str, object] = {"audio_filepath": "a.wav", "text": "x"}
    rows = [good, {"text": "x"}, good | {"id": "o", "offset": "soon"}, good | {"id": "e", "text": None}]
    reading = read_corpus("nemo", manifest(tmp_path, rows), progress=False)
    assert [cut.id for cut in reading.cuts] == ["a"]
    assert [problem.id for problem in reading.problems] == ["line 2", "o", "e"]
    with pytest.raises(DataError, match="not a manifest"):
        read_corpus("nemo", tmp_path)
