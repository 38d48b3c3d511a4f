"""What is to be spoken: texts with stable ids and a domain, read from .txt, .csv, .tsv, .jsonl or SLURP's files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from data_synth.text.fingerprints import Fingerprints
from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import digest

ID_DIGITS = 12  # of the sha256 of text and domain
DEFAULT_DOMAIN = "target"
TEXT_FIELD, ID_FIELD, DOMAIN_FIELD = "text", "id", "domain"
SLURP_FIELDS = {"sentence": TEXT_FIELD, "slurp_id": ID_FIELD, "scenario": DOMAIN_FIELD}  # SLURP's names -> ours
SEPARATORS = {".csv": ",", ".tsv": "\t"}
TEXT_COLUMNS = (TEXT_FIELD, "sentence", "transcript", "transcription", "utterance", "phrase", "query", "prompt")
"""What a column of texts is called where none is named: the first of these that a file has, capitals aside."""
COLUMN_ADVICE = "name the column of the texts as FILE:COLUMN"


@dataclass(frozen=True)
class Text:
    """One text to be spoken. `id` is unique in a run; give `Text.of(...)` the words to have one made."""

    id: str
    text: str
    domain: str = DEFAULT_DOMAIN

    @classmethod
    def of(cls, text: str, domain: str = DEFAULT_DOMAIN) -> Text:
        """A text whose id is a sha256 prefix of its words and its domain."""
        return cls(digest([text, domain])[:ID_DIGITS], text, domain)


@dataclass(frozen=True)
class TextReading:
    """What a file held: the texts, and how many lines were blank or said what an earlier one had said."""

    texts: list[Text]
    lines: int
    blank: int
    duplicates: int

    def __str__(self) -> str:
        """`7 texts of 10 lines (1 blank, 2 duplicates left out)`."""
        return _summary(len(self.texts), self.lines, self.blank, self.duplicates)


def _summary(texts: int, lines: int, blank: int, duplicates: int) -> str:
    left_out = f" ({blank} blank, {duplicates} duplicates left out)"
    return f"{texts} texts of {lines} lines{left_out if blank or duplicates else ''}"


def folded(words: str) -> str:
    """What two texts of one domain must not share: the words without case and superfluous white space."""
    return " ".join(words.split()).casefold()


def read_texts(path: Path, domain: str = DEFAULT_DOMAIN, column: str | None = None) -> list[Text]:
    """The texts of a file, in its order, without duplicates (same words but for case, same domain): the first stays.

    Args:
        path: `.txt` (one text a line), or `.csv` / `.tsv` (a first line of names) / `.jsonl` with `text` and
            optionally `id` and `domain`; or with SLURP's `sentence`, `slurp_id` and `scenario`.
        domain: the domain of texts that name none.
        column: of the texts, in a table; None: the first of `TEXT_COLUMNS` that there is.

    Raises:
        DataError: the file is missing, not of these kinds, broken, has no such column, or has no usable line.
    """
    return scan_texts(path, domain, column).texts


def scan_texts(path: Path, domain: str = DEFAULT_DOMAIN, column: str | None = None) -> TextReading:
    """As `read_texts`, with the counts of what was left out."""
    file = TextFile(path, domain, column)
    return TextReading(list(file), file.lines, file.blank, file.duplicates)


class TextFile:
    """The texts of a file, as `read_texts` gives them, read anew whenever they are gone through; one byte of a line.

    Attributes:
        lines, blank, duplicates: what the file holds, as in `TextReading`.

    Raises:
        DataError: see `read_texts`; or the file is not what it was when it was looked at first.
    """

    def __init__(self, path: Path, domain: str = DEFAULT_DOMAIN, column: str | None = None) -> None:
        self._path, self._domain, self._column = path, domain, column
        self._version = self._stat()
        self.lines = self.blank = 0
        said, ids, used = Fingerprints(), Fingerprints(), bytearray()
        for _, text in self._lines():
            self.lines += 1
            self.blank += text is None
            used.append(text is not None)
            said.add("" if text is None else folded(text.text), "" if text is None else text.domain)
            ids.add("" if text is None else text.id)
        texts = np.frombuffer(used, np.bool_)  # (lines,)
        again = said.repeated(of=texts)
        self.duplicates = int(again.sum())
        self._used = texts & ~again
        if not self._used.any():
            found = f"{self.lines} lines, {self.blank} blank"
            raise DataError("there is no usable text", file=path, value=found, do="write a text a line")
        twins = ids.repeated(of=self._used)
        if twins.any():
            raise self._twins(int(twins.argmax()))

    def __len__(self) -> int:
        """The number of texts."""
        return int(self._used.sum())

    def __iter__(self) -> Iterator[Text]:
        """The texts, in the order of the file."""
        if self._stat() != self._version:
            raise DataError("the file was changed while its texts were used", file=self._path, do="start again")
        for used, (_, text) in zip(self._used, self._lines(), strict=True):
            if used and text is not None:
                yield text

    def __str__(self) -> str:
        """As a `TextReading`: `7 texts of 10 lines (1 blank, 2 duplicates left out)`."""
        return _summary(len(self), self.lines, self.blank, self.duplicates)

    def _lines(self) -> Iterator[tuple[int, Text | None]]:
        """Number and text of every line; None of a blank one."""
        for line, entry in _entries(self._path, self._column):
            words = " ".join(entry.get(TEXT_FIELD, "").split())
            where = entry.get(DOMAIN_FIELD, "").strip() or self._domain
            given = entry.get(ID_FIELD, "").strip()
            yield line, (Text(given, words, where) if given else Text.of(words, where)) if words else None

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def _twins(self, place: int) -> DataError:
        """What is wrong where the text at `place` has the id of an earlier one."""
        kept = [
            (line, text) for used, (line, text) in zip(self._used[: place + 1], self._lines(), strict=False) if used
        ]
        line, last = kept[-1]
        assert last is not None
        first = next(number for number, text in kept if text is not None and text.id == last.id)
        return DataError(
            f"line {line} has the id of line {first}",
            file=self._path,
            field=ID_FIELD,
            value=last.id,
            do="give every text an id of its own, or none",
        )


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """A file of texts; what goes wrong while it is read becomes one line."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield file
    except FileNotFoundError:
        raise DataError("the file of texts is missing", file=path) from None
    except IsADirectoryError:
        raise DataError("is a folder", file=path, do="name a .txt, .csv, .tsv or .jsonl file") from None
    except UnicodeDecodeError:
        raise DataError("is not UTF-8", file=path, value=f"byte {_undecodable(path)}") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=path) from None


def _undecodable(path: Path) -> int:
    """The first byte that is not UTF-8."""
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _entries(path: Path, column: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of every line."""
    suffix = path.suffix.lower()
    with _opened(path) as file:
        if suffix == ".txt":
            if column is not None:
                raise DataError("a text file has no columns", file=path, value=column, do="name the file alone")
            yield from _plain_entries(file)
        elif suffix in SEPARATORS:
            yield from _table_entries(path, file, column)
        elif suffix == ".jsonl":
            yield from _jsonl_entries(path, file, column)
        else:
            raise DataError("must be .txt, .csv, .tsv or .jsonl", file=path, field="suffix", value=suffix)


def _plain_entries(file: IO[str]) -> Iterator[tuple[int, dict[str, str]]]:
    lines = (part for line in file for part in line.splitlines())  # form feeds and the like end a line too
    return ((number, {TEXT_FIELD: line}) for number, line in enumerate(lines, start=1))


def _table_entries(path: Path, file: IO[str], column: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    kind = path.suffix.lower()
    reader = csv.DictReader(
        file,
        strict=True,
        delimiter=SEPARATORS[kind],
        quoting=csv.QUOTE_MINIMAL if kind == ".csv" else csv.QUOTE_NONE,  # in TSV a quotation mark is one
    )
    try:
        names = _names_of(reader.fieldnames or [], column)
        if names is None:
            named = ", ".join(reader.fieldnames or ["nothing"])
            raise DataError(
                "the first line must name a column",
                file=path,
                field=column or TEXT_FIELD,
                value=named,
                do=COLUMN_ADVICE,
            )
        for row in reader:
            yield reader.line_num, _ours({key: value for key, value in row.items() if isinstance(value, str)}, names)
    except csv.Error as error:
        raise DataError(f"line {reader.reader.line_num} is not {kind[1:].upper()}: {error}", file=path) from None


def _names_of(columns: Iterable[str], column: str | None) -> dict[str, str] | None:
    """A file's names -> ours: of its texts, ids and domains; None where no column is one of texts."""
    known = set(columns)
    if column is None and TEXT_FIELD not in known and {"sentence", "scenario"} <= known:
        return SLURP_FIELDS
    if column is None:
        usual = {name.casefold(): name for name in reversed(list(columns))}
        column = next((usual[name] for name in TEXT_COLUMNS if name in usual), None)
    return {column: TEXT_FIELD, ID_FIELD: ID_FIELD, DOMAIN_FIELD: DOMAIN_FIELD} if column in known else None


def _ours(entry: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """An entry under our names."""
    return {ours: entry[name] for name, ours in names.items() if name in entry}


def _jsonl_entries(path: Path, file: IO[str], column: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} is not JSON: {error}", file=path) from None
        names = _names_of(entry, column) if isinstance(entry, dict) else None
        ours = {} if names is None else _ours(entry, names)
        if not isinstance(ours.get(TEXT_FIELD), str):
            found = ", ".join(sorted(map(str, entry))) if isinstance(entry, dict) else type(entry).__name__
            raise DataError(
                f"line {number} must have a string",
                file=path,
                field=column or TEXT_FIELD,
                value=found,
                do=COLUMN_ADVICE,
            )
        yield number, {key: str(value) for key, value in ours.items() if isinstance(value, str | int)}
