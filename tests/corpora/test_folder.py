"""The folder reader: metadata as in HF audiofolder, and texts beside the audio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.corpora import CorpusReading, read_corpus
from speech_analogy.corpora.reading import prompt_of
from speech_analogy.errors import DataError
from tests.corpora.sounds import write_tone


def read(path: Path, **options: object) -> CorpusReading:
    return read_corpus("folder", path, progress=False, **options)


def row(reading: CorpusReading, identity: str) -> dict[str, object]:
    cut = reading.cuts[identity]
    supervision = cut.supervisions[0]
    return cut.custom | {name: getattr(supervision, name) for name in ("text", "speaker", "language")}


@pytest.fixture
def metadata_folder(tmp_path: Path) -> Path:
    root = tmp_path / "menu"
    for name in ("audio/soup.wav", "audio/nuts.flac"):
        write_tone(root / name)
    return root


def test_jsonl(metadata_folder: Path) -> None:
    rows = [
        {"file_name": "audio/soup.wav", "text": "Soup, please.", "domain": "food", "speaker": "ann", "room": 3},
        {"file_name": "audio/nuts.flac", "text": "Nuts?", "id": "n", "language": "fr", "duration": 99, "prompt": 7},
    ]
    (metadata_folder / "metadata.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    reading = read(metadata_folder, speaker="bob")
    assert (reading.read, reading.problems) == (2, [])
    assert row(reading, "audio-soup") == {
        "text": "Soup, please.", "speaker": "ann", "language": "en", "domain": "food", "kind": "real",
        "prompt": prompt_of("soup please"), "room": 3,
    }  # fmt: skip
    assert row(reading, "n") == {
        "text": "Nuts?", "speaker": "bob", "language": "fr", "domain": "menu", "kind": "real", "prompt": "7",
    }  # fmt: skip


@pytest.mark.parametrize("column", ["text", "transcription", "sentence"])
def test_csv_with_each_usual_name_of_the_text(metadata_folder: Path, column: str) -> None:
    lines = ["\ufefffile_name," + column + ",speaker_id", 'audio/soup.wav,"Soup, please.",ann', "audio/nuts.flac,,"]
    (metadata_folder / "metadata.csv").write_text("\r\n".join(lines), encoding="utf-8")
    reading = read(metadata_folder)
    assert row(reading, "audio-soup")["text"] == "Soup, please."
    assert row(reading, "audio-soup")["speaker"] == "ann"
    assert [(problem.id, problem.rule) for problem in reading.problems] == [("audio-nuts", "the text is empty")]


def test_splits_of_an_audiofolder(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_tone(tmp_path / split / "a.wav")
        (tmp_path / split / "metadata.csv").write_text("file_name,text\na.wav,hello\n")
    reading = read(tmp_path)
    assert {cut.id: cut.custom["split"] for cut in reading.cuts} == {"train-a": "train", "test-a": "test"}


def test_named_columns_and_a_table_given_directly(metadata_folder: Path) -> None:
    table = metadata_folder / "list.jsonl"
    table.write_text(json.dumps({"where": "audio/soup.wav", "said": "soup", "text": "wrong"}))
    reading = read(table, file_column="where", text_column="said", domain="d")
    assert row(reading, "audio-soup")["text"] == "soup"
    assert row(reading, "audio-soup")["domain"] == "d"
    with pytest.raises(DataError, match=r"no usable utterance among 1.*no text \(column sad\)"):
        read(table, file_column="where", text_column="sad")


def test_broken_lines_are_listed(metadata_folder: Path) -> None:
    good = json.dumps({"file_name": "audio/soup.wav", "text": "soup"})
    lines = [
        good,
        "{",
        "[1]",
        json.dumps({"text": "no file"}),
        json.dumps({"file_name": "audio/gone.wav", "text": "x"}),
    ]
    (metadata_folder / "metadata.jsonl").write_text("\n".join(lines))
    reading = read(metadata_folder)
    assert reading.read == 5
    assert [(problem.id, problem.rule) for problem in reading.problems] == [
        ("line 2", "the line is not a JSON object"),
        ("line 3", "the line is not a JSON object"),
        ("line 4", "no audio file named (column file_name or audio or path or filename or file or wav)"),
        ("audio-gone", "the audio file is missing"),
    ]
    (metadata_folder / "metadata.jsonl").unlink()
    (metadata_folder / "metadata.csv").write_text("file_name,text\naudio/soup.wav,soup\naudio/nuts.flac,a,b\n")
    assert [problem.id for problem in read(metadata_folder).problems] == ["line 3"]


def test_texts_beside_the_audio(tmp_path: Path) -> None:
    for name, text in {"food/a": "soup\n", "food/deep/b": " nuts ", "c": "hello", "d": ""}.items():
        write_tone(tmp_path / f"{name}.wav").with_suffix(".txt").write_text(text)
    write_tone(tmp_path / "silent.wav")
    (tmp_path / "lonely.txt").write_text("nobody says this")
    reading = read(tmp_path)
    assert {cut.id: (cut.supervisions[0].text, cut.custom["domain"]) for cut in reading.cuts} == {
        "food-a": ("soup", "food"), "food-deep-b": ("nuts", "food"), "c": ("hello", tmp_path.name),
    }  # fmt: skip
    assert {problem.id: problem.rule for problem in reading.problems} == {
        "d": "the text is empty",
        "silent": "there is no .txt of the same name beside the audio",
        "lonely": "the audio file is missing",
    }


def test_a_folder_without_audio(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio"):
        read(tmp_path)
    (tmp_path / "metadata.csv").write_bytes(b"file_name,text\n\xff\xfe,x\n")
    with pytest.raises(DataError, match=r"metadata\.csv: not UTF-8 at byte 15"):
        read(tmp_path)
