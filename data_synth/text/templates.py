"""Texts from templates: `play {song} by {artist}` and a list of values a slot; all of them, or a seeded sample.

`{city}` is a slot; `{city:from} to {city:home}` fills it twice, each time anew, while a slot that is written twice
alike has the same value twice. `{{` and `}}` are braces.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from data_synth.text.texts import Text, folded
from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.suggest import nearest
from speech_analogy.foundation.user_files.mappings import read_mapping
from speech_analogy.foundation.user_files.plain import read_text

TEMPLATE_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
SLOT = re.compile(r"\s*([^\s:{}]+)\s*(?::\s*([^\s:{}]+)\s*)?")
LARGEST_PRODUCT = 1_000_000  # texts, above which a number must be asked for

Slots: TypeAlias = Mapping[str, Sequence[str]]
SlotPlace: TypeAlias = tuple[str, str]  # a slot, and the label that distinguishes its places in a template


@dataclass(frozen=True)
class Template:
    """A template taken apart: literal pieces and places of slots, in order."""

    pieces: tuple[str | SlotPlace, ...]
    domain: str

    @cached_property
    def places(self) -> tuple[SlotPlace, ...]:
        """The places that are filled, each once."""
        return tuple(dict.fromkeys(piece for piece in self.pieces if not isinstance(piece, str)))

    def count(self, slots: Slots) -> int:
        """How many ways there are to fill it: the product of its places' numbers of values; 1 without a slot."""
        return math.prod(len(slots[slot]) for slot, _ in self.places)

    def fill(self, values: Mapping[SlotPlace, str]) -> str:
        """The text with these values in place, white space made single."""
        filled = (piece if isinstance(piece, str) else values[piece] for piece in self.pieces)
        return " ".join("".join(filled).split())


@dataclass(frozen=True)
class Expansion:
    """What templates gave.

    Attributes:
        texts: distinct, in order.
        combinations: ways to fill the templates.
        duplicates: combinations met that said what an earlier text had said, and were left out.
        unused_slots: names of lists that no template has a place for.
    """

    texts: list[Text]
    combinations: int
    duplicates: int
    unused_slots: tuple[str, ...]

    def __str__(self) -> str:
        """`100 texts of 2400 combinations (3 duplicates left out)`."""
        left_out = f" ({self.duplicates} duplicates left out)" if self.duplicates else ""
        unused = f"; slots without a place: {', '.join(self.unused_slots)}" if self.unused_slots else ""
        return f"{len(self.texts)} texts of {self.combinations} combinations{left_out}{unused}"


def expand_templates(templates: Sequence[Text], slots: Slots, count: int | None = None, seed: int = 0) -> Expansion:
    """The texts that templates and slots give.

    With a count, the first texts together use every template, then every value of every slot that has a place, as
    soon as may be (a single template has used all after as many texts as its longest list); the rest are drawn
    without repetition, templates in turn. Fewer come first in what more would be: raising the count keeps texts.

    Args:
        templates: as `read_texts` gives them; a text without a slot gives itself.
        slots: slot -> values, see `read_slots`.
        count: how many texts; all there are where the templates give fewer distinct ones.
        seed: of the sample; without a count nothing is drawn, and the order is that of the lists.

    Raises:
        DataError: a brace is not matched, a slot is unknown (the nearest is named) or has no value, or there are
            more than a million combinations and no count.
    """
    parsed = [parse_template(text.text, text.domain) for text in templates]
    lists = {slot: list(dict.fromkeys(slots[slot])) for slot in slots}
    _check(parsed, lists)
    combinations = sum(template.count(lists) for template in parsed)
    if count is None and combinations > LARGEST_PRODUCT:
        raise DataError(
            f"the templates give more than {LARGEST_PRODUCT} texts",
            field="count",
            value=combinations,
            do="say how many you want",
        )
    stream = _all(parsed, lists) if count is None else _sample(parsed, lists, random.Random(derive("templates", seed)))
    texts: list[Text] = []
    said: set[tuple[str, str]] = set()
    duplicates = 0
    for domain, words in stream:
        if count is not None and len(texts) >= count:
            break
        if not words or (folded(words), domain) in said:
            duplicates += 1
            continue
        said.add((folded(words), domain))
        texts.append(Text.of(words, domain))
    used = {slot for template in parsed for slot, _ in template.places}
    return Expansion(texts, combinations, duplicates, tuple(slot for slot in lists if slot not in used))


def parse_template(template: str, domain: str = "") -> Template:
    """Take a template apart.

    Raises:
        DataError: a brace is single, or a slot's name is none.
    """
    pieces: list[str | SlotPlace] = []
    at = 0
    for found in TEMPLATE_PIECE.finditer(template):
        pieces.append(template[at : found.start()])
        at = found.end()
        if found[0] in ("{{", "}}"):
            pieces.append(found[0][0])
        elif found[1] is not None and (slot := SLOT.fullmatch(found[1])):
            pieces.append((slot[1], slot[2] or ""))
        else:
            raise DataError(
                f"character {found.start() + 1} of a template is not part of a slot such as {{song}}",
                field="template",
                value=template,
                do="write {{ and }} for braces",
            )
    pieces.append(template[at:])
    return Template(tuple(piece for piece in pieces if piece), domain)


def read_slots(path: Path) -> dict[str, list[str]]:
    """Lists of values: a folder of `SLOT.txt` (a value a line), or a .json / .yaml mapping of lists.

    Values are distinct but for case, blank ones are left out, and braces in them are braces.

    Raises:
        DataError: it is missing, not of these forms, or a list is empty.
    """
    if path.is_dir():
        listed: dict[str, object] = {
            file.stem: read_text(file).splitlines() for file in sorted(path.glob("*.txt")) if file.is_file()
        }
    else:
        listed = read_mapping(path)
    slots: dict[str, list[str]] = {}
    for slot, values in listed.items():
        if not isinstance(values, list) or any(isinstance(value, dict | list) or value is None for value in values):
            raise DataError("a slot must have a list of values", file=path, field=str(slot), value=values)
        if any("\ud800" <= character <= "\udfff" for value in values for character in str(value)):
            raise DataError("a slot's value is not valid Unicode (a lone surrogate)", file=path, field=str(slot))
        distinct = {folded(str(value)): " ".join(str(value).split()) for value in reversed(values)}
        slots[str(slot)] = [value for key, value in reversed(distinct.items()) if key]
        if not slots[str(slot)]:
            raise DataError("a slot must have a value", file=path, field=str(slot))
    if not slots:
        raise DataError("there is no slot", file=path, do="add SLOT.txt with a value a line")
    return slots


def _check(templates: Sequence[Template], slots: Slots) -> None:
    for template in templates:
        for slot, _ in template.places:
            if slot not in slots:
                rule = "a template names a slot that has no list"
                raise DataError(rule, field="slot", value=slot, do=nearest(slot, slots))
            if not slots[slot]:
                raise DataError("a slot must have a value", field=slot)


def _all(templates: Sequence[Template], slots: Slots) -> Iterator[tuple[str, str]]:
    """Every combination, templates in order, the last place changing fastest."""
    for template in templates:
        for index in range(template.count(slots)):
            yield template.domain, template.fill(_values(template, slots, index))


def _values(template: Template, slots: Slots, index: int) -> dict[SlotPlace, str]:
    """The values of combination `index`: its digits in the mixed radix of the lists' lengths."""
    values: dict[SlotPlace, str] = {}
    for place in reversed(template.places):
        index, digit = divmod(index, len(slots[place[0]]))
        values[place] = slots[place[0]][digit]
    return values


def _index(template: Template, slots: Slots, digits: Mapping[SlotPlace, int]) -> int:
    index = 0
    for place in template.places:
        index = index * len(slots[place[0]]) + digits[place]
    return index


def _sample(templates: Sequence[Template], slots: Slots, dice: random.Random) -> Iterator[tuple[str, str]]:
    """Every combination once: first those that use what has not been used, then at random, templates in turn."""
    met: list[set[int]] = [set() for _ in templates]
    for number, index in _cover(templates, slots, dice):
        met[number].add(index)
        template = templates[number]
        yield template.domain, template.fill(_values(template, slots, index))
    rest = {number: _draws(template.count(slots), met[number], dice) for number, template in enumerate(templates)}
    while rest:
        for number in list(rest):
            drawn = next(rest[number], None)
            if drawn is None:
                del rest[number]
            else:
                yield templates[number].domain, templates[number].fill(_values(templates[number], slots, drawn))


def _cover(templates: Sequence[Template], slots: Slots, dice: random.Random) -> Iterator[tuple[int, int]]:
    """(template, combination): each template once, then those that use most unused values, until none is left.

    Each combination but a template's first has a value that none before it had, so no two are the same.
    """
    used_slots = dict.fromkeys(slot for template in templates for slot, _ in template.places)
    unused = {slot: dice.sample(range(len(slots[slot])), len(slots[slot])) for slot in used_slots}

    def digit(slot: str) -> int:
        return unused[slot].pop() if unused[slot] else dice.randrange(len(slots[slot]))

    def take(number: int) -> tuple[int, int]:
        template = templates[number]
        return number, _index(template, slots, {place: digit(place[0]) for place in template.places})

    for number in range(len(templates)):
        yield take(number)
    while any(unused.values()):
        gains = [sum(bool(unused[slot]) for slot, _ in template.places) for template in templates]
        best = [number for number, gain in enumerate(gains) if gain == max(gains)]
        left = sum(map(bool, unused.values()))
        while sum(map(bool, unused.values())) == left:
            for number in best:
                if sum(map(bool, unused.values())) == left:
                    yield take(number)


def _draws(size: int, met: set[int], dice: random.Random) -> Iterator[int]:
    """The numbers below `size` that are not in `met`, in random order, in memory of what was drawn."""
    while 2 * len(met) < size:
        index = dice.randrange(size)
        if index not in met:
            met.add(index)
            yield index
    rest = [index for index in range(size) if index not in met]
    dice.shuffle(rest)
    yield from rest
