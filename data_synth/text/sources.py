"""Texts from several places at once: files, a column of a table, templates with slots; and what each left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from data_synth.text.templates import expand_templates, read_slots
from data_synth.text.texts import DEFAULT_DOMAIN, Text, TextReading, folded, scan_texts
from speech_analogy.errors import DataError
from speech_analogy.foundation.options import Options
from speech_analogy.foundation.page.wording import plural

FILE_AND_COLUMN = re.compile(r"(?P<path>.+\.(?:csv|tsv|jsonl)):(?P<column>[^:/\\]+)", re.IGNORECASE)
BLANK, REPEATED, SILENT = "blank", "said before", "nothing to say in them"


class TextSource(Options):
    """Where texts come from; as a string `menu.txt`, or `menu.csv:dish` for a column."""

    path: str = Field(description=".txt (a text a line), or .csv, .tsv, .jsonl with a column of texts")
    column: str | None = Field(default=None, description="of the texts; None: text, sentence, transcript, ...")
    slots: str | None = Field(
        default=None, description="the texts are templates: a folder of SLOT.txt, or a .json or .yaml of lists"
    )
    count: int | None = Field(default=None, ge=1, description="texts taken of what the templates give; None: all")

    @model_validator(mode="before")
    @classmethod
    def _from_a_string(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = FILE_AND_COLUMN.fullmatch(value)
        return found.groupdict() if found else {"path": value}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.count is not None and self.slots is None:
            raise ValueError("count is of templates: give slots, too")
        return self

    @property
    def name(self) -> str:
        """As it is written on a command line."""
        return self.path if self.column is None else f"{self.path}:{self.column}"


@dataclass(frozen=True)
class TextSourceReading:
    """What one source gave: `lines` read, `texts` taken, and what was left out, by reason."""

    name: str
    lines: int
    texts: int
    left_out: dict[str, int]

    def __str__(self) -> str:
        """`menu.txt: 40 texts of 42 lines (1 blank, 1 said before)`."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        amount = f"{plural(self.texts, 'text')} of {plural(self.lines, 'line')}"
        return f"{self.name}: {amount}" + (f" ({reasons})" if reasons else "")


@dataclass(frozen=True)
class TextsFound:
    """The distinct texts of all sources, in their order, and what each source gave."""

    texts: list[Text]
    readings: list[TextSourceReading]


def gather_texts(
    sources: Sequence[TextSource], folder: Path, domain: str = DEFAULT_DOMAIN, seed: int = 0
) -> TextsFound:
    """The texts of several sources, each once: same words but for case in the same domain are one, the first stays.

    Args:
        sources: at least one.
        folder: that paths are relative to.
        domain: of texts that name none.
        seed: of the choice among what templates give.

    Raises:
        DataError: a source cannot be read or has no text, ids of two sources clash, or no text has a letter or digit.
    """
    texts: list[Text] = []
    readings: list[TextSourceReading] = []
    said: set[tuple[str, str]] = set()
    for source in sources:
        lines, own, left_out = _read(source, folder, domain, seed)
        kept = 0
        for text in own:
            key = (folded(text.text), text.domain)
            if not any(character.isalnum() for character in text.text):
                left_out[SILENT] += 1
            elif key in said:
                left_out[REPEATED] += 1
            else:
                said.add(key)
                texts.append(text)
                kept += 1
        readings.append(TextSourceReading(source.name, lines, kept, {why: n for why, n in left_out.items() if n}))
    if not texts:
        value = "; ".join(map(str, readings))
        raise DataError("there is no usable text", file=folder / sources[0].path, value=value, do="write a text a line")
    _refuse_shared_ids(texts)
    return TextsFound(texts, readings)


def _read(source: TextSource, folder: Path, domain: str, seed: int) -> tuple[int, list[Text], Counter[str]]:
    """Lines, texts and what was left out of one source."""
    reading: TextReading = scan_texts(folder / source.path, domain, source.column)
    left_out = Counter({BLANK: reading.blank, REPEATED: reading.duplicates})
    if source.slots is None:
        return reading.lines, reading.texts, left_out
    expansion = expand_templates(reading.texts, read_slots(folder / source.slots), source.count, seed)
    left_out[REPEATED] += expansion.duplicates
    return reading.lines, expansion.texts, left_out


def _refuse_shared_ids(texts: Sequence[Text]) -> None:
    common = next((name for name, count in Counter(text.id for text in texts).items() if count > 1), None)
    if common is not None:
        raise DataError("two files give the same id to different texts", field="id", value=common, do="leave ids out")
