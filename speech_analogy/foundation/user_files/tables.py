"""Rows of tables, for every room: CSV and TSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.json_text import parse_json
from speech_analogy.foundation.user_files.plain import TOO_LONG, read_lines

SEPARATORS = (",", ";", "|", "\t")  # that a header of a .csv may have; the first one that is in it
LONGEST_FIELD = 1 << 20  # characters
MOST_COLUMNS = 10_000
JSON_SUFFIXES = (".jsonl", ".json")
TABLE_SUFFIXES = (*JSON_SUFFIXES, ".csv", ".tsv")
NOT_AN_OBJECT = "the line is not a JSON object"
WRONG_COLUMNS = "the line has more or fewer columns than the header"


@dataclass(frozen=True)
class BrokenLine:
    """A line that is no row: its number from 1, the rule that it breaks, and what its reader said of it."""

    line: int
    rule: str
    why: str = ""


TableRow: TypeAlias = tuple[int, dict[str, Any]]
"""The number of a row's line, and its fields; one that is empty in CSV or TSV is None."""


def table_rows(path: Path, *, missing: str = "there is no such table") -> Iterator[TableRow | BrokenLine]:
    """The rows of a table, one at a time; a broken line is given as such and does not end it.

    In TSV a quotation mark is a character like any other; in CSV it encloses a field. Blank lines are left out.

    Raises:
        DataError: the file is missing or of another kind, not UTF-8, its header is no header, or its quotation marks
            do not fit.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(f"not a table ({', '.join(TABLE_SUFFIXES)})", file=path, value=path.suffix)
    lines = read_lines(path, missing=missing)
    return _json_rows(lines) if suffix in JSON_SUFFIXES else _delimited_rows(path, lines)


def header_of(path: Path, *, missing: str = "there is no such table") -> list[str]:
    """The names of the columns of a CSV or TSV, or of the keys of the first object.

    Raises:
        DataError: see `table_rows`.
    """
    if path.suffix.lower() in JSON_SUFFIXES:
        rows = (row for row in table_rows(path, missing=missing) if not isinstance(row, BrokenLine))
        return list(next(rows, (0, {}))[1])
    return _Delimited(path, read_lines(path, missing=missing)).names


def _json_rows(lines: Iterator[tuple[int, str | None]]) -> Iterator[TableRow | BrokenLine]:
    for number, line in lines:
        if line is None:
            yield BrokenLine(number, TOO_LONG)
        elif line.strip():
            try:
                row = parse_json(line)
            except ValueError as error:
                syntax = isinstance(error, json.JSONDecodeError)
                yield BrokenLine(number, NOT_AN_OBJECT if syntax else f"{NOT_AN_OBJECT}: {error}", str(error))
                continue
            yield (number, row) if isinstance(row, dict) else BrokenLine(number, NOT_AN_OBJECT)


def _delimited_rows(path: Path, lines: Iterator[tuple[int, str | None]]) -> Iterator[TableRow | BrokenLine]:
    table = _Delimited(path, lines)
    names = table.names
    for cells in table:
        if len(cells) != len(names):
            yield BrokenLine(table.line, WRONG_COLUMNS)
        else:
            yield table.line, {name: cell or None for name, cell in zip(names, cells, strict=True)}


class _Delimited:
    """The cells of a CSV or TSV, row by row, behind its header."""

    def __init__(self, path: Path, lines: Iterator[tuple[int, str | None]]) -> None:
        self.line = 0
        self._path, self._lines, self._before = path, lines, list[str]()
        tabs = path.suffix.lower() == ".tsv"
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
        first = self._first()
        self._rows = csv.reader(
            self._pieces(),
            delimiter="\t" if tabs else separator_of(first),
            quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
            strict=True,
        )
        self.names = next(iter(self), [])
        if len(self.names) > MOST_COLUMNS:
            raise DataError("a table must have fewer columns", file=path, value=len(self.names))
        twice = sorted(name for name in set(self.names) if self.names.count(name) > 1)
        if twice:
            raise DataError("two columns have the same name", file=path, field=twice[0], do="rename one of them")

    def __iter__(self) -> Iterator[list[str]]:
        try:
            for cells in self._rows:
                if cells:
                    yield cells
        except csv.Error as error:
            kind = self._path.suffix[1:].upper()
            do = "double a quotation mark within a quoted field" if "expected after" in str(error) else None
            raise DataError(f"line {self.line} is not {kind}: {error}", file=self._path, do=do) from None

    def _first(self) -> str:
        """The first line with something in it, which stays before the others."""
        for piece in self._pieces():
            if piece.strip():
                self._before.append(piece)
                return piece
        return ""

    def _pieces(self) -> Iterator[str]:
        """Lines as CSV has them: a carriage return alone ends one, too."""
        if self._before:
            yield self._before.pop()
        for number, line in self._lines:
            self.line = number
            if line is None:
                raise DataError(f"line {number}: {TOO_LONG}", file=self._path)
            if "\r" in line.rstrip("\r\n"):
                yield from io.StringIO(line, newline="")
            else:
                yield line


def separator_of(header: str) -> str:
    """Of a CSV: the comma, or what its header has in the comma's place."""
    return next((sign for sign in SEPARATORS if sign in header), ",")
