"""What the fuzz tests found, each as its kind: names, tables, JSON and YAML of strangers, ledgers that lead away."""

from __future__ import annotations

import gzip
import io
import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from data_synth.text.texts import read_texts
from speech_analogy.corpora.read import import_corpus, read_corpus, read_cuts
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.evaluation.results import Results, read_hypotheses
from speech_analogy.foundation.page.wording import amount
from speech_analogy.foundation.user_files.file_names import LONGEST_STEM_BYTES, file_stem, sameness
from speech_analogy.foundation.user_files.json_text import (
    LIST_BYTES,
    MOST_VALUE_BYTES,
    OBJECT_BYTES,
    VALUE_BYTES,
    parse_json,
    read_json,
    read_objects,
)
from speech_analogy.foundation.user_files.plain import (
    LONGEST_LINE_BYTES,
    MOST_BYTES,
    read_lines,
    read_piped,
    read_text,
)
from speech_analogy.foundation.user_files.yaml_text import parse_yaml, read_yaml
from tests.corpora.sounds import write_tone
from tests.faults.bounded import little_memory
from tests.report.fake_run import make_run

NINE = 9
BOMB = "\n".join(
    f"{name}: &{name} [{', '.join([below] * NINE)}]"
    for name, below in (("b", "1"), ("c", "*b"), ("d", "*c"), ("e", "*d"), ("f", "*e"), ("g", "*f"))
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "'a' is there twice, line 2"),
        (BOMB, "aliases repeat"),
        ("a: &a [*a]", "stands for what it is in"),
        ("[" * 2000, "nest"),
        ("- " * 70 + "1", "within each other"),
        ("a: " + "9" * 200, "digits"),
        ("a: 2024-13-45", "month"),
        ("a: !!timestamp q", "tag"),
        ("a: !!python/object/apply:os.system [id]", "constructor"),
        ("'\ud800'", "surrogates|special characters|tag"),
    ],
)
def test_yaml_that_is_none_or_grows(text: str, said: str) -> None:
    start = time.thread_time()
    with pytest.raises(ValueError, match=said):
        parse_yaml(text)
    assert time.thread_time() - start < 1


def test_aliases_and_merge_keys_that_people_write() -> None:
    assert parse_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}") == {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "l": 2}}


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"a": 1, "a": 2}', "'a' is there twice"), ("[" * 100_000, "within each other"), ("9" * 200, "digits")],
)
def test_json_that_is_none_or_grows(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match=r"a\.yaml: is not a plain file"):
        read_yaml(tmp_path / "a.yaml", ConfigError)
    with pytest.raises(DataError, match=r"a\.txt: is not a plain file"):
        read_texts(tmp_path / "a.txt")


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_utf_16_is_said(tmp_path: Path, coding: str, name: str) -> None:
    (tmp_path / name).write_bytes("text\nturn it on\n".encode(coding))
    with pytest.raises(DataError, match="UTF-8"):
        read_texts(tmp_path / name)


def test_a_line_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * (LONGEST_LINE_BYTES + 5) + b"\nstop\n")
    assert [(number, line) for number, line in read_lines(tmp_path / "a.txt")] == [(1, None), (2, "stop\n")]
    with pytest.raises(DataError, match="line 1: the line is longer"):
        read_texts(tmp_path / "a.txt")


def test_a_file_larger_than_a_document(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(DataError, match="at most"):
        read_text(tmp_path / "a.json")


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    words = ["one\u2028two", "three\x85four", "five\x0csix"]
    rows = [json.dumps({"text": text}, ensure_ascii=False) for text in words]
    (tmp_path / "a.jsonl").write_text("\n".join(rows), encoding="utf-8", newline="\n")
    assert [text.text for text in read_texts(tmp_path / "a.jsonl")] == ["one two", "three four", "five six"]


def test_texts_are_read_by_the_reader_of_tables(tmp_path: Path) -> None:
    """Semicolons, capitals, and a text with a comma that is not between quotation marks."""
    (tmp_path / "a.csv").write_text("ID;Text;Domain\n1;play, jazz;music\n")
    (found,) = read_texts(tmp_path / "a.csv")
    assert (found.id, found.text, found.domain) == ("1", "play, jazz", "music")
    (tmp_path / "b.csv").write_text("id,text\n1,play, jazz\n")
    with pytest.raises(DataError, match=r"b\.csv: line 2.*more or fewer columns.*quotation marks"):
        read_texts(tmp_path / "b.csv")


@pytest.mark.parametrize("domain", [["a"], {"a": 1}, True])
def test_a_domain_that_is_no_word(tmp_path: Path, domain: object) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a", "domain": domain}))
    with pytest.raises(DataError, match="domain: line 1 must have a string"):
        read_texts(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    "name", ["../up", "/root", "a\\b", "CON", "con.txt", "a.", " a", "x" * 300, "é" * 200, "a\0b", "\ud800", "..", ""]
)
def test_what_is_no_file_name_becomes_one(tmp_path: Path, name: str) -> None:
    stem = file_stem(name)
    (tmp_path / f"{stem}.flac").write_bytes(b"")
    assert [file.name for file in tmp_path.iterdir()] == [f"{stem}.flac"]
    assert len(stem.encode()) <= LONGEST_STEM_BYTES
    assert stem != file_stem(name + "x")


def test_what_is_a_file_name_stays_one() -> None:
    assert [file_stem(name) for name in ("utt-1", "é.b", "food and places")] == ["utt-1", "é.b", "food and places"]
    assert sameness("Cafe\u0301") == sameness("CAFÉ")


def test_nothing_usable_names_columns_and_the_first_path_and_lists_the_rest(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text,mood\na.wav,one,calm\nb.wav,two,calm\n")
    with pytest.raises(DataError) as caught:
        import_corpus("folder", tmp_path, tmp_path / "out.jsonl", options={"progress": False})
    said = str(caught.value)
    assert "columns of metadata.csv: file_name, text, mood" in said
    assert str(tmp_path / "a.wav") in said
    assert "out.problems.jsonl" in said
    rows = [json.loads(line) for line in (tmp_path / "out.problems.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [str(tmp_path / name) for name in ("a.wav", "b.wav")]
    assert not (tmp_path / "out.jsonl").exists()


def test_audio_that_no_table_lists_is_counted(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "deep/c.wav"):
        write_tone(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,one\n")
    reading = read_corpus("folder", tmp_path, progress=False)
    assert "audio files that no table lists: 2" in reading.summary()


def test_ids_and_names_that_the_system_does_not_take_are_listed(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    rows = [
        {"file_name": "a.wav", "text": "one", "extra": {"width": 1}},
        {"file_name": "b" * 300 + ".wav", "text": "two"},
        {"file_name": "a\0.wav", "text": "three"},
        {"file_name": "a.wav", "text": "four", "id": "x" * 2000},
        {"file_name": "a.wav", "text": "five", "id": "y", "mood": "\ud800"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reading = import_corpus("folder", tmp_path, tmp_path / "out.jsonl", options={"progress": False})
    assert [cut.id for cut in read_cuts(tmp_path / "out.jsonl")] == ["a"]
    assert len(reading.problems) == 4


def test_packed_cuts_that_unpack_without_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b" " * (1 << 26)))
    start = time.thread_time()
    with pytest.raises(DataError, match="not a file of Lhotse cuts: line 1: the line is longer"):
        read_cuts(tmp_path / "a.jsonl.gz")
    assert time.thread_time() - start < 2


def test_results_that_are_no_numbers(tmp_path: Path) -> None:
    make_run(tmp_path, ("zero_shot",), (0.5, 0.75), 3)
    hypotheses = next(tmp_path.glob("hypotheses/*.jsonl"))
    for file, read in ((tmp_path / "results.json", Results.read), (hypotheses, read_hypotheses)):
        content = file.read_text()
        file.write_text(content.replace('"duration_s":', '"duration_s": NaN, "x":', 1))
        with pytest.raises(DataError, match="NaN is no finite number"):
            read(file)  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("value", ["{}", "[]", '{"a":1}', "0.5", '"ab"', '[["ab"]]'])
def test_json_as_large_as_may_be_takes_little_memory(tmp_path: Path, value: str) -> None:
    """A value or one line, with at most 1 GB more than the process has, and without half a minute's work."""
    file = tmp_path / "a.json"
    repeated = (MOST_BYTES - 2) // (len(value) + 1)
    file.write_text("[" + ",".join([value] * repeated) + "]")
    with pytest.raises(DataError, match="values would take about"):
        read_in_bounds_or_raise(lambda: read_json(file))
    file.write_text("\n".join(['{"a":1}'] * (MOST_BYTES // 8)))
    with pytest.raises(DataError, match="values would take about"):
        read_in_bounds_or_raise(lambda: read_objects(file))


def read_in_bounds_or_raise(read: Callable[[], object]) -> None:
    with little_memory():
        read()


def test_json_whose_values_just_pass_takes_less_than_is_allowed(tmp_path: Path) -> None:
    """The estimate is no less than what Python takes, by its own count of the process's memory."""
    for value, taken in (("{}", OBJECT_BYTES + VALUE_BYTES), ("[]", LIST_BYTES + VALUE_BYTES), ('"ab"', VALUE_BYTES)):
        repeated = MOST_VALUE_BYTES // taken // 100
        tracemalloc.start()
        try:
            found = parse_json("[" + ",".join([value] * repeated) + "]")
            assert tracemalloc.get_traced_memory()[0] <= repeated * taken
        finally:
            tracemalloc.stop()
        assert len(found) == repeated


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a\xff", "not UTF-8 at byte 1"), (b"a\0", "NUL"), ("é".encode("utf-16"), "not UTF-8 at byte 0")],
)
def test_what_comes_by_a_pipe_is_text(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=f"standard input.*{said}"):
        read_piped(io.BytesIO(content), "standard input")


def test_a_pipe_without_end_and_none() -> None:
    with Path("/dev/zero").open("rb") as endless, pytest.raises(DataError, match="at most"):
        read_piped(endless, "standard input")
    assert read_piped(None, "standard input") == ""
    assert read_piped(io.BytesIO(b"\xef\xbb\xbfa\r\nb"), "standard input") == "a\r\nb"


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_that_no_float_holds_is_written(value: int) -> None:
    assert amount(value).endswith("∞")
