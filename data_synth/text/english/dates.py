"""Dates and times of day in English words: what the patterns of `english.py` find, as it is spoken."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from data_synth.text.english import numbers as numbers
from data_synth.text.english.word_tables import MONTH_NAMES, MONTHS, cased

CENTURY_TURN = 70  # '69 is 2069, '70 is 1970
DAYS, NOON, HOURS = 31, 12, 24


def date(year: str, month: int, day: int) -> str:
    """`March third, twenty twenty four`; a year of two digits is of 1970 to 2069."""
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < CENTURY_TURN else 1900
    return f"{MONTHS[month - 1]} {numbers.ordinal(day)}, {numbers.year(number)}"


def iso_date(found: Match[str]) -> str:
    """2024-03-04; left as it is where there is no such day."""
    month, day = int(found[2]), int(found[3])
    return date(found[1], month, day) if 1 <= month <= len(MONTHS) and 1 <= day <= DAYS else found[0]


def numeric_date(day_first: bool) -> Callable[[Match[str]], str]:
    """3/4/2024, month or day first; with full stops the day is first everywhere."""

    def words(found: Match[str]) -> str:
        first, second = int(found[1]), int(found[3])
        day, month = (first, second) if day_first or found[2] == "." else (second, first)
        if month > len(MONTHS):
            day, month = month, day
        return date(found[4], month, day) if 1 <= month <= len(MONTHS) and 1 <= day <= DAYS else found[0]

    return words


def month_day(found: Match[str]) -> str:
    """March 3rd, 2024."""
    name, day, suffix, year = found[1], int(found[2]), found[3], found[4]
    if name in ("may", "mar", "march") and not (
        suffix or year or re.match(r"\s*(?:$|[,.?!;])", found.string[found.end() :])
    ):
        return found[0]  # "you may 5 times", unless it is clear
    if not 1 <= day <= DAYS:
        return found[0]
    said = f"{cased(name, MONTH_NAMES[name.lower()])} {numbers.ordinal(day)}"
    return f"{said}, {numbers.year(int(year))}" if year else said


def day_month(found: Match[str]) -> str:
    """3 March 2024, the 3rd of March."""
    day, name, year = int(found[2]), found[3], found[4]
    if not 1 <= day <= DAYS or (name in ("may", "mar", "march") and found[1] is None and not year):
        return found[0]
    said = f"{found[1] or 'the '}{numbers.ordinal(day)} of {cased(name, MONTH_NAMES[name.lower()])}"
    return f"{said} {numbers.year(int(year))}" if year else said


def month_year(found: Match[str]) -> str:
    """March 2024."""
    return f"{cased(found[1], MONTH_NAMES[found[1].lower()])} {numbers.year(int(found[2]))}"


def decade(found: Match[str]) -> str:
    """1990s, '90s."""
    number = int(found[1])
    said = numbers.year(number) if len(found[1]) == 4 else numbers.cardinal(number)
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def time(found: Match[str]) -> str:
    """9:05, 21:30:10, 9:30 p.m."""
    hour, minute, second, half = int(found[1]), int(found[2]), found[3], found[4]
    if hour > HOURS:
        return found[0]
    said = numbers.cardinal(hour)
    if minute:
        said += f" {numbers.two_digits(minute)}"
    elif not half and not second:
        if hour == 0:
            return "midnight"
        said += " o'clock" if hour <= NOON else " hundred"
    if second:
        said += f" and {numbers.cardinal(int(second))} second{'' if int(second) == 1 else 's'}"
    return f"{said} {half.lower()}.m." if half else said


def hour(found: Match[str]) -> str:
    """9 a.m."""
    return f"{numbers.cardinal(int(found[1]))} {found[2].lower()}.m."
