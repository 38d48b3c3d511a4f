"""Cuts from a file, one by one: Lhotse's manifests as JSON lines, packed or not."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lhotse.cut.set import deserialize_cut

from speech_analogy.errors import DataError, one_line
from speech_analogy.foundation.user_files.json_text import parse_json
from speech_analogy.foundation.user_files.plain import LONGEST_LINE_BYTES, TOO_LONG, lines_of, open_plain

CUTS_SUFFIXES = (".jsonl.gz", ".jsonl")
MOST_BLANK_LINES = 100_000
REASON_CHARACTERS = 200


def cuts_in(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Any]:
    """The cuts of a file, in its order; they are not checked, see `cut_checks`.

    Args:
        start, stop: of an unpacked file, only the lines that begin at these bytes or between; None: to its end.

    Raises:
        DataError: the file is missing, or not one of cuts: the line is named, of those that are read.
    """
    do = "make it with `speech-analogy corpus import`"
    with open_plain(path, missing="the cuts file is missing", do=do) as file:
        packed = path.name.endswith(".gz")
        unpacked: Any = gzip.GzipFile(fileobj=file) if packed else _LinesWithin(file, start, stop)
        blank = 0
        for number, line in lines_of(unpacked, path):
            if line is None:
                raise _not_cuts(path, number, TOO_LONG)
            if line.strip():
                yield _cut(path, number, line)
                continue
            blank += 1
            if blank > MOST_BLANK_LINES:
                raise _not_cuts(path, number, "its lines are blank")


class _LinesWithin:
    """The lines of a file that begin within some bytes of it."""

    def __init__(self, file: BinaryIO, start: int, stop: int | None) -> None:
        self._file, self._stop = file, stop
        if start:
            file.seek(start - 1)
            while (rest := file.readline(LONGEST_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass  # of the line that began before

    def readline(self, size: int, /) -> bytes:
        """As a file's."""
        if self._stop is not None and self._file.tell() >= self._stop and not self._within_a_line:
            return b""
        line = self._file.readline(size)
        self._within_a_line = not line.endswith(b"\n")
        return line

    _within_a_line = False


def _cut(path: Path, number: int, line: str) -> Any:
    try:
        content = parse_json(line)
    except ValueError as error:
        raise _not_cuts(path, number, f"it is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise _not_cuts(path, number, f"it holds no object but {type(content).__name__}")
    if not isinstance(content.get("type"), str):
        raise _not_cuts(path, number, "it names no type such as MonoCut")
    try:
        return deserialize_cut(content)
    except Exception as error:  # Lhotse takes the fields as they come
        raise _not_cuts(path, number, one_line(error)[:REASON_CHARACTERS]) from None


def _not_cuts(path: Path, number: int, why: str) -> DataError:
    return DataError(f"not a file of Lhotse cuts: line {number}: {why}", file=path)
