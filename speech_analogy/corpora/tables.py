"""Rows of metadata files: CSV with a header, or one JSON object per line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speech_analogy.corpora.reading import Problem
from speech_analogy.errors import DataError

SEPARATORS = (",", ";", "|", "\t")  # that a header of a .csv may have; the first one that is in it
LONGEST_FIELD = 1 << 20  # characters
TABLE_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")
NOT_AN_OBJECT = "the line is not a JSON object"
WRONG_COLUMNS = "the line has more or fewer columns than the header"


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]] | Problem]:
    """The rows of a table with their line numbers; a broken line is a problem, not an end.

    Raises:
        DataError: the file is missing, of another kind, or not UTF-8.
    """
    if not path.is_file():
        raise DataError("the metadata file is missing", file=path)
    if path.suffix not in TABLE_SUFFIXES:
        raise DataError(f"not a table ({', '.join(TABLE_SUFFIXES)})", file=path, value=path.suffix)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start}", file=path) from None
    return _delimited_rows(path, text) if path.suffix in (".csv", ".tsv") else _json_rows(path, text)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]] | Problem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        yield (number, row) if isinstance(row, dict) else Problem(f"line {number}", str(path), NOT_AN_OBJECT)


def _delimited_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]] | Problem]:
    """In TSV a quotation mark is a character like any other; in CSV it encloses a field."""
    tabs = path.suffix == ".tsv"
    reader = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter="\t" if tabs else _separator(text),
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
        strict=True,
    )
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        names = list(reader.fieldnames or [])
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError("two columns have the same name", file=path, field=twice[0], do="rename one of them")
        for row in reader:
            if None in row or None in row.values():
                yield Problem(f"line {reader.line_num}", str(path), WRONG_COLUMNS)
            else:
                yield reader.line_num, {name: value or None for name, value in row.items()}
    except csv.Error as error:
        kind = path.suffix[1:].upper()
        do = "double a quotation mark within a quoted field" if "expected after" in str(error) else None
        raise DataError(f"line {reader.reader.line_num} is not {kind}: {error}", file=path, do=do) from None
    finally:
        csv.field_size_limit(before)


def _separator(text: str) -> str:
    """Of a CSV: the comma, or what its header has in the comma's place."""
    header = text.partition("\n")[0]
    return next((sign for sign in SEPARATORS if sign in header), ",")
