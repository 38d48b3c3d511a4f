"""Tables as people have them: a row is never lost in another, and what cannot be read is said with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.corpora.read import read_corpus
from speech_analogy.corpora.reading import CorpusReading
from speech_analogy.errors import DataError
from tests.corpora.sounds import write_tone

NAMES = ("a.wav", "b.wav", "c.wav")


def table(folder: Path, name: str, content: str) -> Path:
    for clip in NAMES:
        write_tone(folder / clip)
    (folder / name).write_text(content, encoding="utf-8")
    return folder


def texts(reading: CorpusReading) -> dict[str, str]:
    return {cut.id: cut.supervisions[0].text for cut in reading.cuts}


def read(path: Path) -> CorpusReading:
    return read_corpus("folder", path, progress=False)


@pytest.mark.parametrize("begins", ['"yes', "'tis", '"', '""quoted""'])
def test_in_tsv_a_quotation_mark_is_a_character(tmp_path: Path, begins: str) -> None:
    rows = [f"a.wav\t{begins} said one", "b.wav\tsaid two", 'c.wav\tsaid "three']
    found = read(table(tmp_path, "metadata.tsv", "file_name\ttext\n" + "\n".join(rows) + "\n") / "metadata.tsv")
    assert texts(found) == {"a": f"{begins} said one", "b": "said two", "c": 'said "three'}


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("header", ["file_name{}text", "File_Name{}Text", " file_name{} TEXT "])
def test_a_csv_of_another_separator_or_spelling_is_read(tmp_path: Path, separator: str, header: str) -> None:
    lines = [header.format(separator), *(f"{name}{separator}said {name[0]}" for name in NAMES)]
    found = read(table(tmp_path, "metadata.csv", "\n".join(lines)))
    assert texts(found) == {name[0]: f"said {name[0]}" for name in NAMES}


def test_an_unfinished_quotation_is_said_with_its_line(tmp_path: Path) -> None:
    content = 'file_name,text\na.wav,"said" one\nb.wav,said two\n'
    with pytest.raises(DataError, match=r"metadata\.csv: line 2 is not CSV"):
        read(table(tmp_path, "metadata.csv", content))


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text: two columns have the same name"):
        read(table(tmp_path, "metadata.csv", "file_name,text,text\na.wav,one,two\n"))


def test_a_field_of_200_kb_is_a_text(tmp_path: Path) -> None:
    found = read(table(tmp_path, "metadata.csv", f"file_name,text\na.wav,{'word ' * 40_000}\nb.wav,two\n"))
    assert "b" in texts(found)


@pytest.mark.parametrize("wrong", [["a", "list"], {"a": "mapping"}, True])
def test_what_is_no_text_is_one_listed_problem(tmp_path: Path, wrong: object) -> None:
    rows = [{"file_name": "a.wav", "text": wrong}, {"file_name": "b.wav", "text": "two"}, {"file_name": 3, "text": "x"}]
    found = read(table(tmp_path, "metadata.jsonl", "\n".join(map(json.dumps, rows))))
    assert texts(found) == {"b": "two"}
    assert [problem.rule for problem in found.problems] == ["text and file_name must be strings"] * 2


def test_nothing_is_called_none(tmp_path: Path) -> None:
    """Ids, speakers and languages that are null are absent."""
    rows = [{"file_name": name, "text": "x", "id": None, "speaker": None, "language": None} for name in NAMES]
    found = read(table(tmp_path, "metadata.jsonl", "\n".join(map(json.dumps, rows))))
    assert sorted(texts(found)) == ["a", "b", "c"]
    assert {cut.supervisions[0].language for cut in found.cuts} == {"en"}
    assert "None" not in {cut.supervisions[0].speaker for cut in found.cuts}


def nemo(folder: Path, **values: object) -> CorpusReading:
    """One line about `a.wav`, which lasts half a second, and one that is sound."""
    table(folder, "unused.csv", "x")
    lines = [{"audio_filepath": "a.wav", "text": "one", **values}, {"audio_filepath": "b.wav", "text": "two"}]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return read_corpus("nemo", folder / "manifest.jsonl", progress=False)


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ({"duration": 0.2}, (0.0, 0.2)),  # a part's text: the part alone
        ({"duration": 0.49}, (0.0, 0.5)),
        ({"duration": 0.51}, (0.0, 0.5)),
        ({"offset": 0.25, "duration": 0.26}, (0.25, 0.25)),
        ({"offset": 0.1, "duration": 0.2}, (0.1, 0.2)),
    ],
)
def test_a_nemo_line_says_how_much_of_the_file_its_text_is(
    tmp_path: Path, values: dict[str, float], span: tuple[float, float]
) -> None:
    cut = next(iter(nemo(tmp_path, **values).cuts))
    assert (cut.start, cut.duration) == pytest.approx(span)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"duration": 0.7}, "outside the audio"),
        ({"duration": float("nan")}, "no finite number"),
        ({"offset": float("inf"), "duration": 0.1}, "no finite number"),
        ({"offset": -0.1, "duration": 0.2}, "outside the audio"),
        ({"offset": 0.1}, "not a number"),
        ({"duration": "long"}, "not a number"),
        ({"text": "a \ud800 surrogate"}, "not valid Unicode"),
        ({"id": "\udc00"}, "not valid Unicode"),
    ],
)
def test_a_nemo_line_that_cannot_be_is_one_listed_problem(tmp_path: Path, values: dict[str, object], said: str) -> None:
    found = nemo(tmp_path, **values)
    assert len(list(found.cuts)) == 1
    [problem] = found.problems
    assert said in problem.rule
    problem.id.encode()
