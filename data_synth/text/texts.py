"""What is to be spoken: texts with stable ids and a domain, read from .txt, .csv, .tsv, .jsonl or SLURP's files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_synth.text.fingerprints import Fingerprints
from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import digest
from speech_analogy.foundation.user_files.plain import TOO_LONG, is_folder, read_lines
from speech_analogy.foundation.user_files.tables import NOT_AN_OBJECT, BrokenLine, header_of, table_rows

ID_DIGITS = 12  # of the sha256 of text and domain
DEFAULT_DOMAIN = "target"
TEXT_FIELD, ID_FIELD, DOMAIN_FIELD = "text", "id", "domain"
SLURP_FIELDS = {"sentence": TEXT_FIELD, "slurp_id": ID_FIELD, "scenario": DOMAIN_FIELD}  # SLURP's names -> ours
TEXT_TABLES = (".csv", ".tsv", ".jsonl")
MOST_CHARACTERS = 10_000  # of one text: a quarter of an hour of speech
NOT_PLAIN = {
    "{\\rtf": "RTF",
    "%PDF-": "PDF",
    "<!DOCTYPE": "HTML",
    "<html": "HTML",
    "<?xml": "XML",
    "PK\x03\x04": "a zip file",
}
"""How files begin that people give in place of plain text -> what they are."""
MISSING = "the file of texts is missing"
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # but for white space
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


def _single_spaced(words: str) -> str:
    """White space made single; control characters, which nobody can say, count as such beside anything else."""
    return " ".join(CONTROL.sub(" ", words).split()) or " ".join(words.split())


def _is_unicode(words: str) -> bool:
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


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
            words, where, given = (_single_spaced(entry.get(name, "")) for name in (TEXT_FIELD, DOMAIN_FIELD, ID_FIELD))
            if not all(map(_is_unicode, (words, where, given))):
                raise DataError(f"line {line} is not valid Unicode (a lone surrogate)", file=self._path)
            if len(words) > MOST_CHARACTERS:
                rule = f"line {line} has {len(words)} characters, and a text may have {MOST_CHARACTERS}"
                raise DataError(rule, file=self._path, do="write a sentence a line")
            where = where or self._domain
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


def _entries(path: Path, column: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of every line."""
    suffix = path.suffix.lower()
    if suffix == ".txt":
        if column is not None:
            raise DataError("a text file has no columns", file=path, value=column, do="name the file alone")
        return _plain_entries(path)
    if suffix in TEXT_TABLES:
        return _table_entries(path, column, needs_a_header=suffix != ".jsonl")
    if is_folder(path):
        raise DataError("is a folder", file=path, do="name a .txt, .csv, .tsv or .jsonl file")
    raise DataError("must be .txt, .csv, .tsv or .jsonl", file=path, field="suffix", value=suffix)


def _plain_entries(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Of a text file; form feeds and the like end a line too."""
    number = 0
    for place, line in read_lines(path, missing=MISSING):
        other = next((kind for sign, kind in NOT_PLAIN.items() if place == 1 and (line or "").startswith(sign)), None)
        if other is not None:
            raise DataError(f"is {other} and no plain text", file=path, do="save it as plain text, a sentence a line")
        if line is None:
            raise DataError(f"line {place}: {TOO_LONG}", file=path, do="write a text a line")
        for part in line.splitlines():
            number += 1
            yield number, {TEXT_FIELD: part}


def _table_entries(path: Path, column: str | None, needs_a_header: bool) -> Iterator[tuple[int, dict[str, str]]]:
    names = _names_of(header_of(path, missing=MISSING), column) if needs_a_header else None
    if needs_a_header and names is None:
        named = ", ".join(header_of(path)) or "nothing"
        rule = "the first line must name a column"
        raise DataError(rule, file=path, field=column or TEXT_FIELD, value=named, do=COLUMN_ADVICE)
    for row in table_rows(path, missing=MISSING):
        if isinstance(row, BrokenLine):
            raise _broken(path, row)
        number, entry = row
        if names is None:
            yield number, _from_object(path, number, entry, column)
        else:
            yield number, {ours: entry[name] or "" for name, ours in names.items() if name in entry}


def _broken(path: Path, row: BrokenLine) -> DataError:
    if row.why:
        return DataError(f"line {row.line} is not JSON: {row.why}", file=path)
    if row.rule == NOT_AN_OBJECT:
        return DataError(
            f"line {row.line} must have a string", file=path, field=TEXT_FIELD, do='write {"text": "..."} a line'
        )
    do = "put a text that holds the separator between quotation marks" if path.suffix.lower() == ".csv" else None
    return DataError(f"line {row.line}: {row.rule}", file=path, do=do)


def _names_of(columns: Iterable[str], column: str | None) -> dict[str, str] | None:
    """A file's names -> ours: of its texts, ids and domains; None where no column is one of texts."""
    known = list(columns)
    if column is None and TEXT_FIELD not in known and {"sentence", "scenario"} <= set(known):
        return SLURP_FIELDS
    folded_names = {name.strip().casefold(): name for name in reversed(known)}
    if column is None:
        column = next((folded_names[name] for name in TEXT_COLUMNS if name in folded_names), None)
    if column not in known:
        return None
    others = (name if name in known else folded_names.get(name, name) for name in (ID_FIELD, DOMAIN_FIELD))
    return dict(zip(others, (ID_FIELD, DOMAIN_FIELD), strict=True)) | {column: TEXT_FIELD}


def _from_object(path: Path, number: int, entry: dict[str, Any], column: str | None) -> dict[str, str]:
    """A JSON object's fields under our names."""
    names = _names_of(entry, column) or {}
    ours = {own: entry[name] for name, own in names.items() if entry.get(name) is not None}
    if not isinstance(ours.get(TEXT_FIELD), str):
        found = ", ".join(sorted(entry))
        rule = f"line {number} must have a string"
        raise DataError(rule, file=path, field=column or TEXT_FIELD, value=found, do=COLUMN_ADVICE)
    for name, value in ours.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise DataError(f"line {number} must have a string", file=path, field=name, value=value)
    return {name: str(value) for name, value in ours.items()}
