"""Texts: ids that stay, duplicates that go, mistakes told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_synth.texts import Text, read_texts, scan_texts
from speech_analogy.errors import DataError


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_plain_text(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", "\ufeffplay jazz\n\n  play   jazz \r\nstop\n")
    reading = scan_texts(file, "music")
    assert [(text.text, text.domain) for text in reading.texts] == [("play jazz", "music"), ("stop", "music")]
    assert (reading.lines, reading.blank, reading.duplicates) == (4, 1, 1)


def test_ids_depend_on_words_and_domain_alone(tmp_path: Path) -> None:
    [first, second] = read_texts(written(tmp_path / "a.txt", "play jazz\nstop"), "music")
    assert first.id == Text.of("play jazz", "music").id
    assert first.id != Text.of("play jazz", "other").id
    assert read_texts(written(tmp_path / "b.txt", "new\nstop"), "music")[1].id == second.id
    assert first.id == "6f04f67406c7"  # sha256 of ["play jazz","music"]; a change would redo every user's clips


def test_csv_and_jsonl_with_and_without_id_and_domain(tmp_path: Path) -> None:
    table = written(tmp_path / "a.csv", 'id,text,domain\n7,"play, jazz",music\n,stop,\n')
    rows = [{"id": 7, "text": "play, jazz", "domain": "music"}, {"text": "stop", "extra": [1]}]
    lines = written(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    expected = [Text("7", "play, jazz", "music"), Text.of("stop", "home")]
    assert read_texts(table, "home") == expected
    assert read_texts(lines, "home") == expected


def test_the_same_words_in_two_domains_are_two_texts(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "text,domain\nyes,a\nyes,b\nyes,a\n")
    reading = scan_texts(file)
    assert [text.domain for text in reading.texts] == ["a", "b"]
    assert reading.duplicates == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "\n  \n", "no usable text"),
        ("a.txt", b"caf\xe9\n", "not UTF-8"),
        ("a.csv", "sentence\nhello\n", "must name a column"),
        ("a.csv", "", "must name a column"),
        ("a.csv", 'text\n"open\n', "is not CSV"),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', "line 2 is not JSON"),
        ("a.jsonl", '{"sentence": "a"}\n', "line 1 must have a string"),
        ("a.jsonl", "[1]\n", "line 1 must have a string"),
        ("a.jsonl", '{"text": "a", "id": "1"}\n{"text": "b", "id": "1"}\n', "line 2 has the id of line 1"),
        ("a.xlsx", "x", "must be .txt, .csv or .jsonl"),
    ],
)
def test_mistakes_are_one_line_that_names_the_file(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    file = written(tmp_path / name, content)
    with pytest.raises(DataError, match=said) as caught:
        read_texts(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        read_texts(tmp_path / "none.txt")
    with pytest.raises(DataError, match="folder"):
        read_texts(tmp_path)
