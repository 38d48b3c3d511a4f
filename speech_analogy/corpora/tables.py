"""Rows of metadata files, with the lines that are none as problems of the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speech_analogy.corpora.reading import Problem
from speech_analogy.foundation.user_files.tables import BrokenLine, TableRow, table_rows


def read_rows(path: Path) -> Iterator[TableRow | Problem]:
    """The rows of a table with their line numbers; a broken line is a problem, not an end.

    Raises:
        DataError: see `table_rows`.
    """
    for row in table_rows(path, missing="the metadata file is missing"):
        yield Problem(f"line {row.line}", str(path), row.rule) if isinstance(row, BrokenLine) else row
