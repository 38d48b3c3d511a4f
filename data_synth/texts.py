"""What is to be spoken: texts with stable ids and a domain, read from .txt, .csv, .tsv, .jsonl or SLURP's files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_synth.seeds import digest
from speech_analogy.errors import DataError

ID_DIGITS = 12  # of the sha256 of text and domain
DEFAULT_DOMAIN = "target"
TEXT_FIELD, ID_FIELD, DOMAIN_FIELD = "text", "id", "domain"
SLURP_FIELDS = {"sentence": TEXT_FIELD, "slurp_id": ID_FIELD, "scenario": DOMAIN_FIELD}  # SLURP's names -> ours
SEPARATORS = {".csv": ",", ".tsv": "\t"}


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
        left_out = f" ({self.blank} blank, {self.duplicates} duplicates left out)"
        return f"{len(self.texts)} texts of {self.lines} lines{left_out if self.blank or self.duplicates else ''}"


def folded(words: str) -> str:
    """What two texts of one domain must not share: the words without case and superfluous white space."""
    return " ".join(words.split()).casefold()


def read_texts(path: Path, domain: str = DEFAULT_DOMAIN) -> list[Text]:
    """The texts of a file, in its order, without duplicates (same words but for case, same domain): the first stays.

    Args:
        path: `.txt` (one text a line), or `.csv` / `.tsv` (a first line of names) / `.jsonl` with `text` and
            optionally `id` and `domain`; or with SLURP's `sentence`, `slurp_id` and `scenario`.
        domain: the domain of texts that name none.

    Raises:
        DataError: the file is missing, not of these kinds, broken, or has no usable line.
    """
    return scan_texts(path, domain).texts


def scan_texts(path: Path, domain: str = DEFAULT_DOMAIN) -> TextReading:
    """As `read_texts`, with the counts of what was left out."""
    entries = _entries(path, _content(path))
    texts: list[Text] = []
    said: set[tuple[str, str]] = set()
    owners: dict[str, int] = {}
    lines = blank = duplicates = 0
    for line, entry in entries:
        lines += 1
        words = " ".join(entry.get(TEXT_FIELD, "").split())
        if not words:
            blank += 1
            continue
        where = entry.get(DOMAIN_FIELD, "").strip() or domain
        if (folded(words), where) in said:
            duplicates += 1
            continue
        given = entry.get(ID_FIELD, "").strip()
        text = Text(given, words, where) if given else Text.of(words, where)
        if text.id in owners:
            raise DataError(
                f"line {line} has the id of line {owners[text.id]}",
                file=path,
                field=ID_FIELD,
                value=text.id,
                do="give every text an id of its own, or none",
            )
        texts.append(text)
        said.add((folded(words), where))
        owners[text.id] = line
    if not texts:
        raise DataError("there is no usable text", file=path, value=f"{lines} lines, {blank} blank")
    return TextReading(texts, lines, blank, duplicates)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("the file of texts is missing", file=path) from None
    except IsADirectoryError:
        raise DataError("is a folder", file=path, do="name a .txt, .csv, .tsv or .jsonl file") from None
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", file=path, value=f"byte {error.start}") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=path) from None


def _entries(path: Path, content: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of every line."""
    match path.suffix.lower():
        case ".txt":
            return ((n, {TEXT_FIELD: line}) for n, line in enumerate(content.splitlines(), start=1))
        case ".csv" | ".tsv":
            return _table_entries(path, content)
        case ".jsonl":
            return _jsonl_entries(path, content)
        case suffix:
            raise DataError("must be .txt, .csv, .tsv or .jsonl", file=path, field="suffix", value=suffix)


def _table_entries(path: Path, content: str) -> Iterator[tuple[int, dict[str, str]]]:
    kind = path.suffix.lower()
    reader = csv.DictReader(
        io.StringIO(content),
        strict=True,
        delimiter=SEPARATORS[kind],
        quoting=csv.QUOTE_MINIMAL if kind == ".csv" else csv.QUOTE_NONE,  # in TSV a quotation mark is one
    )
    try:
        if TEXT_FIELD not in _ours(dict.fromkeys(reader.fieldnames or [], "")):
            raise DataError("the first line must name a column", file=path, field=TEXT_FIELD, value=reader.fieldnames)
        for row in reader:
            yield reader.line_num, _ours({key: value for key, value in row.items() if isinstance(value, str)})
    except csv.Error as error:
        raise DataError(f"line {reader.line_num} is not {kind[1:].upper()}: {error}", file=path) from None


def _ours(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry under our names, where it is one of SLURP's: a `sentence` with a `scenario`, and no `text`."""
    if TEXT_FIELD in entry or not {"sentence", "scenario"} <= entry.keys():
        return entry
    return {SLURP_FIELDS[key]: value for key, value in entry.items() if key in SLURP_FIELDS}


def _jsonl_entries(path: Path, content: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} is not JSON: {error}", file=path) from None
        ours = _ours(entry) if isinstance(entry, dict) else {}
        if not isinstance(ours.get(TEXT_FIELD), str):
            found = sorted(entry) if isinstance(entry, dict) else type(entry).__name__
            raise DataError(f"line {number} must have a string", file=path, field=TEXT_FIELD, value=found)
        yield number, {key: str(value) for key, value in ours.items() if isinstance(value, str | int)}
