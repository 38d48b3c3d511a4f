"""Texts of several files: columns, templates, each text once, and what was left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_synth.text.sources import TextSource, gather_texts
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, DataError


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def gathered(folder: Path, *sources: object) -> tuple[list[str], list[str]]:
    """The texts, and what is said of each source."""
    found = gather_texts([TextSource.model_validate(source) for source in sources], folder, "menu")
    return [text.text for text in found.texts], [str(reading) for reading in found.readings]


@pytest.mark.parametrize(
    ("said", "path", "column"),
    [
        ("menu.txt", "menu.txt", None),
        ("menu.csv:dish", "menu.csv", "dish"),
        ("a:b/menu.TSV:name of dish", "a:b/menu.TSV", "name of dish"),
        ("menu.txt:dish", "menu.txt:dish", None),
    ],
)
def test_a_source_as_a_string(said: str, path: str, column: str | None) -> None:
    source = TextSource.model_validate(said)
    assert (source.path, source.column) == (path, column)


@pytest.mark.parametrize("name", ["text", "Sentence", "TRANSCRIPT", "transcription", "utterance"])
def test_an_obvious_column_need_not_be_named(tmp_path: Path, name: str) -> None:
    written(tmp_path / "a.csv", f"price,{name}\n4,rolls\n5,soup\n")
    assert gathered(tmp_path, "a.csv")[0] == ["rolls", "soup"]


def test_of_two_obvious_columns_the_first_of_the_list_is_taken(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "sentence,text\nno,yes\n")
    assert gathered(tmp_path, "a.csv")[0] == ["yes"]


def test_a_named_column_goes_before_an_obvious_one(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", '{"text": "no", "dish": "rolls"}\n{"text": "no", "dish": "soup"}\n')
    assert gathered(tmp_path, "a.jsonl:dish")[0] == ["rolls", "soup"]


def test_several_sources_have_each_text_once_and_count_what_they_left_out(tmp_path: Path) -> None:
    written(tmp_path / "a.txt", "Rolls\n\nsoup\n...\nrolls\n")
    written(tmp_path / "b.csv", "text\nSOUP\nrice\n")
    texts, readings = gathered(tmp_path, "a.txt", "b.csv")
    assert texts == ["Rolls", "soup", "rice"]
    assert readings == [
        "a.txt: 2 texts of 5 lines (1 blank, 1 said before, 1 nothing to say in them)",
        "b.csv: 1 text of 2 lines (1 said before)",
    ]


def test_templates_are_filled_in(tmp_path: Path) -> None:
    written(tmp_path / "orders.txt", "two {dish} please\n{dish}\n")
    (tmp_path / "slots").mkdir()
    written(tmp_path / "slots" / "dish.txt", "rolls\nsoup\n")
    texts, _ = gathered(tmp_path, {"path": "orders.txt", "slots": "slots"})
    assert sorted(texts) == ["rolls", "soup", "two rolls please", "two soup please"]
    assert len(gathered(tmp_path, {"path": "orders.txt", "slots": "slots", "count": 3})[0]) == 3


def test_texts_have_the_domain_and_ids_that_one_file_would_give(tmp_path: Path) -> None:
    written(tmp_path / "a.txt", "rolls\n")
    found = gather_texts([TextSource(path="a.txt")], tmp_path, "menu")
    assert found.texts == [Text.of("rolls", "menu")]


@pytest.mark.parametrize(
    ("content", "source", "said"),
    [
        ("...\n!\n", "a.txt", "a.txt: there is no usable text .*2 nothing to say in them.*a text a line"),
        ("", "a.txt", "there is no usable text"),
        ("dish,price\nrolls,4\n", "a.csv", "dish, price.*FILE:COLUMN"),
        ("text,price\nrolls,4\n", "a.csv:dish", "a.csv: dish: the first line must name a column .*text, price"),
        ("x\n", "missing.txt", "missing.txt: the file of texts is missing"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, content: str, source: str, said: str) -> None:
    written(tmp_path / source.partition(":")[0].replace("missing", "other"), content)
    with pytest.raises(DataError, match=said) as caught:
        gathered(tmp_path, source)
    assert "\n" not in str(caught.value)


def test_ids_of_two_files_must_not_clash(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "id,text\n1,rolls\n")
    written(tmp_path / "b.csv", "id,text\n1,soup\n")
    with pytest.raises(DataError, match=r"id: two files give the same id .*'1'"):
        gathered(tmp_path, "a.csv", "b.csv")


def test_a_count_without_slots_is_refused() -> None:
    with pytest.raises(ConfigError, match="give slots"):
        TextSource.parse({"path": "a.txt", "count": 3})
