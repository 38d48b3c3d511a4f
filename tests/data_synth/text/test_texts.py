"""Texts: ids that stay, duplicates that go, mistakes told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.text.texts import Text, folded, read_texts, scan_texts
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


def test_tsv_takes_quotation_marks_as_they_are(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tsv", 'domain\ttext\nhome\tsay "stop, now\n\tstop\n')
    assert read_texts(file, "other") == [Text.of('say "stop, now', "home"), Text.of("stop", "other")]


def test_slurp_rows_give_their_scenario_as_the_domain_and_their_slurp_id(tmp_path: Path) -> None:
    rows = [
        {"slurp_id": 13804, "sentence": "what is one dollar", "scenario": "qa", "intent": "qa_currency", "tokens": []},
        {"sentence": "lights off", "scenario": "iot", "intent": "iot_hue_lightoff"},
    ]
    file = written(tmp_path / "devel.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert read_texts(file) == [Text("13804", "what is one dollar", "qa"), Text.of("lights off", "iot")]


@pytest.mark.parametrize(("name", "lines", "domains"), [("devel", 2033, 18), ("test", 2974, 18)])
def test_slurp_as_published(name: str, lines: int, domains: int) -> None:
    file = Path(__file__).parents[3] / f"../shared/data/slurp_text/{name}.jsonl"
    if not file.is_file():
        pytest.skip("SLURP's texts are not beside the checkout")
    reading = scan_texts(file)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    distinct = {(" ".join(row["sentence"].lower().split()), row["scenario"]) for row in rows}
    assert (reading.lines, len(reading.texts)) == (lines, len(distinct))
    assert len({text.domain for text in reading.texts}) == domains


def test_duplicates_differ_in_case_or_white_space_alone_and_the_first_stays_as_written(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", "Turn  it ON\nturn it on\nSTRASSE\nstraße\nturn it off\n\n")
    reading = scan_texts(file)
    assert [text.text for text in reading.texts] == ["Turn it ON", "STRASSE", "turn it off"]
    assert str(reading) == "3 texts of 6 lines (1 blank, 2 duplicates left out)"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))))
def test_what_is_read_has_no_two_alike_and_loses_no_line(lines: list[str]) -> None:
    with TemporaryDirectory() as folder:
        file = written(Path(folder) / "a.txt", "\n".join(lines))
        if not "".join(lines).strip("\ufeff \t").split():
            return
        reading = scan_texts(file)
    assert reading.lines == len(reading.texts) + reading.blank + reading.duplicates
    assert len({folded(text.text) for text in reading.texts}) == len(reading.texts)
    assert [text.text for text in reading.texts] == list(dict.fromkeys(text.text for text in reading.texts))


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
        ("a.csv", "dish,price\nrolls,4\n", "must name a column.*dish, price.*FILE:COLUMN"),
        ("a.csv", "", "must name a column"),
        ("a.csv", 'text\n"open\n', "is not CSV"),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', "line 2 is not JSON"),
        ("a.jsonl", '{"dish": "a"}\n', "line 1 must have a string.*dish.*FILE:COLUMN"),
        ("a.jsonl", "[1]\n", "line 1 must have a string"),
        ("a.jsonl", '{"text": "a", "id": "1"}\n{"text": "b", "id": "1"}\n', "line 2 has the id of line 1"),
        ("a.xlsx", "x", "must be .txt, .csv, .tsv or .jsonl"),
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
