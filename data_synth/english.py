"""English as it is spoken: numbers, dates, times, money, units, abbreviations, letters, addresses and symbols in words.

Rules are tried in order, most particular first, until nothing is left to be done; the classes are
those of Ebden & Sproat, "The Kestrel TTS text normalization system" (2015). A text that has nothing to be put into
words comes back as it is, character for character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from re import Match
from typing import TypeAlias

from data_synth import english_numbers as numbers
from data_synth.english_words import (
    ABBREVIATIONS,
    ADDRESS_SYMBOLS,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    CODES,
    CURRENCIES,
    DOLLARS,
    INITIALISMS,
    MAGNITUDES,
    MONTH_NAMES,
    MONTHS,
    MUTE,
    NOT_SPELLED,
    PER,
    STREETS,
    SYMBOLS,
    TITLES,
    TOP_DOMAINS,
    TOUCHING_UNITS,
    UNITS,
)

Rule: TypeAlias = tuple[re.Pattern[str], Callable[[Match[str]], str]]

PASSES = 8  # a rule may make work for an earlier one ("mp3" is split, then "mp" is spelled); two or three is usual
CENTURY_TURN = 70  # '69 is 2069, '70 is 1970
DAYS, NOON, HOURS = 31, 12, 24
DAY_FIRST = ("gb", "uk", "au", "nz", "ie", "in", "za")  # regions that write the day before the month

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
ALONE = r"(?<![\w.])"  # nothing before it that a number could belong to
MONTH = "|".join(sorted(MONTH_NAMES, key=len, reverse=True))

INTEREST = re.compile(r"[^A-Za-z\s,?!;:'’\"-]|[A-Z]{2}|(?i:\b(?:mr|mrs|dr)\b)")
SHOUTED = re.compile(r"[A-Z]{2}")


def speak_english(text: str, region: str = "us") -> str:
    """`text` in words. No digit is left; a text in capitals stays in capitals, and its words are not spelled.

    Args:
        text: one line.
        region: lower-case ISO 3166 code; it decides whether 3/4/2024 is in March or in April.
    """
    if not INTEREST.search(text):
        return text
    shouting = SHOUTED.search(text) is not None and text.upper() == text
    before = text.lower() if shouting else text
    after = before
    rules = _rules(region in DAY_FIRST)
    for _ in range(PASSES):
        done = _pass(after, rules)
        if done == after:
            break
        after = done
    if after == before:
        return text
    return after.upper() if shouting else after


def _pass(text: str, rules: tuple[Rule, ...]) -> str:
    said = plain_digits(text)
    for pattern, words in rules:
        said = pattern.sub(words, said)
    return text if said == text else _tidy(said)


def _tidy(text: str) -> str:
    text = " ".join(text.split())
    text = re.sub(r" +([,?!;:.])(?=\s|$)", r"\1", text)
    return re.sub(r"(?<!\.)\.\.$", ".", text)


def plain_digits(text: str) -> str:
    """Digits of every script as 0-9, fractions such as ½ as 1/2, the minus sign as a hyphen."""
    if text.isascii():
        return text
    out: list[str] = []
    for at, character in enumerate(text):
        folded = unicodedata.normalize("NFKC", character)
        if character in "²³" and at and text[at - 1] == "m":
            out.append(character)  # of a unit
        elif "⁄" in folded:
            out.append(f" {folded.replace('⁄', '/')}")
        elif (digit := unicodedata.digit(character, None)) is not None:
            out.append(str(digit))
        elif character in "℃℉":
            out.append(folded)
        else:
            out.append("-" if character == "−" else character)
    return "".join(out)


def _rule(pattern: str, words: Callable[[Match[str]], str] | str, flags: int = re.IGNORECASE) -> Rule:
    return re.compile(pattern, flags), (lambda _: words) if isinstance(words, str) else words


# addresses


def _address(found: Match[str]) -> str:
    body = re.sub(r"^(?:https?|ftp)://", "", found[0], flags=re.IGNORECASE)
    body = re.sub(r"^www(?=\.)", "W.W.W. ", body, flags=re.IGNORECASE)
    start = "W.W.W. " if body.startswith("W.W.W. ") else ""
    rest = "".join(f" {ADDRESS_SYMBOLS[c]} " if c in ADDRESS_SYMBOLS else c for c in body[len(start) :].rstrip("/"))
    return f" {start}{rest} "


def _telephone(found: Match[str]) -> str:
    groups = re.findall(r"\d+", found[0])
    plus = "plus " if found[0].startswith("+") else ""
    return plus + ", ".join(numbers.digits(group) for group in groups)


def _version(found: Match[str]) -> str:
    parts = found[0].split(".")
    said = (" dot " if len(parts) == 4 else " point ").join(numbers.integer(part) for part in parts)
    return f" {said}" if found.string[found.start() - 1 : found.start()].isalpha() else said


# dates and times


def _date(year: str, month: int, day: int) -> str:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < CENTURY_TURN else 1900
    return f"{MONTHS[month - 1]} {numbers.ordinal(day)}, {numbers.year(number)}"


def _iso_date(found: Match[str]) -> str:
    month, day = int(found[2]), int(found[3])
    return _date(found[1], month, day) if 1 <= month <= len(MONTHS) and 1 <= day <= DAYS else found[0]


def _numeric_date(day_first: bool) -> Callable[[Match[str]], str]:
    def words(found: Match[str]) -> str:
        first, second = int(found[1]), int(found[3])
        day, month = (first, second) if day_first or found[2] == "." else (second, first)
        if month > len(MONTHS):
            day, month = month, day
        return _date(found[4], month, day) if 1 <= month <= len(MONTHS) and 1 <= day <= DAYS else found[0]

    return words


def _month_day(found: Match[str]) -> str:
    name, day, suffix, year = found[1], int(found[2]), found[3], found[4]
    if name in ("may", "mar", "march") and not (
        suffix or year or re.match(r"\s*(?:$|[,.?!;])", found.string[found.end() :])
    ):
        return found[0]  # "you may 5 times", unless it is clear
    if not 1 <= day <= DAYS:
        return found[0]
    said = f"{_as(name, MONTH_NAMES[name.lower()])} {numbers.ordinal(day)}"
    return f"{said}, {numbers.year(int(year))}" if year else said


def _day_month(found: Match[str]) -> str:
    day, name, year = int(found[2]), found[3], found[4]
    if not 1 <= day <= DAYS or (name in ("may", "mar", "march") and found[1] is None and not year):
        return found[0]
    said = f"{found[1] or 'the '}{numbers.ordinal(day)} of {_as(name, MONTH_NAMES[name.lower()])}"
    return f"{said} {numbers.year(int(year))}" if year else said


def _month_year(found: Match[str]) -> str:
    return f"{_as(found[1], MONTH_NAMES[found[1].lower()])} {numbers.year(int(found[2]))}"


def _decade(found: Match[str]) -> str:
    number = int(found[1])
    said = numbers.year(number) if len(found[1]) == 4 else numbers.cardinal(number)
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def _time(found: Match[str]) -> str:
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


def _hour(found: Match[str]) -> str:
    return f"{numbers.cardinal(int(found[1]))} {found[2].lower()}.m."


# quantities


def _money(found: Match[str]) -> str:
    country, symbol, amount, magnitude = found[1], found[2], found[3], found[4]
    one, several, cent, cents = CURRENCIES[symbol]
    if country:
        one, several = (f"{DOLLARS[country.lower()]} {word}" for word in (one, several))
    return _amount(amount, magnitude, one, several, cent, cents)


def _money_after(found: Match[str]) -> str:
    unit = CURRENCIES.get(found[3]) or CODES[found[3].lower()]
    return _amount(found[1], found[2], *unit)


def _money_code(found: Match[str]) -> str:
    return _amount(found[2], found[3], *CODES[found[1].lower()])


def _amount(amount: str, magnitude: str | None, one: str, several: str, cent: str, cents: str) -> str:
    if magnitude:
        word = MAGNITUDES.get(magnitude.lower(), magnitude.lower())
        return f"{numbers.decimal(amount)} {word} {several}"
    whole, _, part = amount.partition(".")
    number = int(whole.replace(",", "") or 0)
    if len(part) != 2 or (not cent and part != "00"):
        return f"{_count(amount)} {one if amount == '1' else several}"
    hundredths = int(part)
    minor = f"{numbers.cardinal(hundredths)} {cent if hundredths == 1 else cents}" if hundredths else ""
    major = f"{_count(whole or '0')} {one if number == 1 else several}" if number or not minor else ""
    return " and ".join(words for words in (major, minor) if words)


def _count(amount: str) -> str:
    """A number that is of something: never read as a year or digit by digit."""
    plain = amount.replace(",", "")
    if "." in plain or len(plain) > 30:
        return numbers.decimal(amount)
    return numbers.cardinal(int(plain))


def _measure(found: Match[str]) -> str:
    amount, gap, unit = found[1], found[2], found[3]
    names = None
    if not gap:
        names = TOUCHING_UNITS.get(unit)
    names = names or UNITS.get(unit) or UNITS.get(unit.lower())
    if names is None:
        return found[0]
    return f"{_count(amount)} {names[0] if amount == '1' or gap == '-' else names[1]}"


def _per(found: Match[str]) -> str:
    unit = found[2].lower()
    return f"{found[1]} per {PER.get(unit) or UNITS.get(unit, (found[2],))[0]}"


def _fraction(found: Match[str]) -> str:
    whole, over, under = found[1], int(found[2]), int(found[3])
    if not whole and ((over, under) in ((24, 7), (9, 11)) or over == under):
        return f"{numbers.cardinal(over)} {numbers.cardinal(under)}"
    said = numbers.fraction(over, under)
    if not whole:
        return said
    return f"{numbers.integer(whole)} and {'a' + said.removeprefix('one') if over == 1 else said}"


# letters and abbreviations


def _as(model: str, word: str) -> str:
    return word.capitalize() if model[:1].isupper() else word.lower()


def _table(table: dict[str, str]) -> Callable[[Match[str]], str]:
    return lambda found: _as(found[1], table[found[1].lower()])


def _ending(table: dict[str, str]) -> Callable[[Match[str]], str]:
    """As `_table`; a full stop that ends the text as well stays."""

    def words(found: Match[str]) -> str:
        return _as(found[1], table[found[1].lower()]) + ("." if found.end() == len(found.string) else "")

    return words


def _letters(found: Match[str]) -> str:
    word, ending = found[1], found[2] or ""
    if word in NOT_SPELLED or (word not in INITIALISMS and set(word) & set("AEIOUY")):
        return found[0]
    return ".".join(word) + "." + ending


def _pair(found: Match[str]) -> str:
    first = found[1] if len(found[1]) == 1 else ".".join(found[1]) + "."
    return f"{first} and {found[2]}"


def _street(found: Match[str]) -> str:
    ending = "." if found.end() == len(found.string) else ""
    return found[1] + STREETS[found[2].lower()].capitalize() + ending


def _names(keys: Iterable[str]) -> str:
    """Alternatives of a pattern, longest first."""
    return "|".join(sorted(map(re.escape, keys), key=len, reverse=True))


@cache
def _rules(day_first: bool) -> tuple[Rule, ...]:
    symbols = "".join(CURRENCIES)
    scale = r"(?:\s?((?<=\d)(?:k|mn|m|bn|b|t)\b|thousand\b|million\b|billion\b|trillion\b))?"
    units = _names({*UNITS, *TOUCHING_UNITS})
    name = r"(?=\s+[A-Z])"
    return (
        # addresses, telephone numbers, versions
        _rule(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+", _address),
        _rule(r"\b(?:(?:https?|ftp)://|www\.)[^\s,;!?\"')]*[^\s,;!?\"').:]", _address),
        _rule(rf"\b(?:[a-z0-9-]+\.)+(?:{TOP_DOMAINS})\b(?:/[^\s,;!?\"')]*[^\s,;!?\"').:])?", _address),
        _rule(r"(?<![\w+])(?:\+?1[-. ]?)?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])", _telephone),
        _rule(r"(?<!\w)\+\d{1,3}(?:[- ]?\(?\d{2,5}\)?){2,5}(?!\w)", _telephone),
        _rule(r"(?<![\w-])\d{3}-\d{4}(?![\w-])|(?<![\w-])\d{4}(?:[- ]\d{4}){3}(?![\w-])", _telephone),
        _rule(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", _telephone),
        # dates and times
        _rule(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-])", _iso_date),
        _rule(r"(?<![\w/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)", _numeric_date(day_first)),
        _rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\w)", _version),
        _rule(rf"\b({MONTH})\b\.?\s+(\d{{1,2}})(st|nd|rd|th)?\b(?![:/.%]\w)(?:,?\s+(\d{{4}})\b)?", _month_day),
        _rule(rf"\b(the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({MONTH})\b\.?(?:,?\s+(\d{{4}})\b)?", _day_month),
        _rule(rf"\b({MONTH})\b\.?,?\s+(\d{{4}})\b", _month_year),
        _rule(r"(?<![\w$£€.,])['’]?(\d{3}0|[1-9]0)['’]?s\b", _decade),
        _rule(r"(?<![\w:.])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?:\s?([ap])(?:\.\s?m\.|m\b\.?))?(?![\d:])", _time),
        _rule(r"(?<![\w:.])(1[0-2]|0?[1-9])\s?([ap])(?:\.\s?m\.|m\b\.?)", _hour),
        # ranges: 5-10, 1995–2000
        _rule(
            rf"(?<![\w.,/-])([{symbols}]?{NUMBER}[%kKmM]?)\s?–\s?(?=[{symbols}]?\d)"
            rf"|(?<![\w.,/-])([{symbols}]?{NUMBER}%?)-(?=[{symbols}]?{NUMBER}(?![\w-]*-\d))",
            lambda found: f"{found[1] or found[2]} to ",
        ),
        _rule(rf"(?<![\w.,)])-\s?(?=[{symbols}]?\.?\d)|(?<=\d) - (?=\d)", " minus "),
        # money, percentages, measures
        _rule(rf"{ALONE}({NUMBER}){scale}([{symbols}])(?!\d)", _money_after),
        _rule(rf"(?:\b({_names(DOLLARS)}))?([{symbols}])\s?({NUMBER}){scale}", _money),
        _rule(rf"{ALONE}({NUMBER}){scale}\s?([{symbols}]|(?:{_names(CODES)})\b)", _money_after),
        _rule(rf"\b({_names(CODES)})\s?({NUMBER}){scale}", _money_code),
        _rule(rf"{ALONE}({NUMBER})\s?¢", lambda found: f"{_count(found[1])} cent{'' if found[1] == '1' else 's'}"),
        _rule(rf"{ALONE}({NUMBER})\s?%", lambda found: f"{_count(found[1])} percent "),
        _rule(r"(?<!\w)(\d)['’′]\s?(1?\d)(?:[\"”″]|'')", lambda found: f"{_count(found[1])} foot {_count(found[2])}"),
        _rule(r"(?<=\d)\s?[x×]\s?(?=\d)", " by "),
        _rule(rf"{ALONE}({NUMBER})([\s-]?)({units})(?![\w²³/])", _measure),
        _rule(
            r"\b(dollars?|cents?|euros?|pounds?|pence|yen|rupees?|[a-z]*bytes?|[a-z]*bits?|[a-z]*meters?|[a-z]*grams?)"
            r"\s?/\s?([a-z]+)\b",
            _per,
        ),
        # ordinals, fractions
        _rule(
            r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d{1,18})(?:st|nd|rd|th)\b",
            lambda found: numbers.ordinal(int(found[1].replace(",", ""))),
        ),
        _rule(r"(?<![\w/.,])(?:(\d{1,9})\s)?(\d{1,3})/(\d{1,3})(?![\w/]|\.\d)", _fraction),
        # abbreviations
        _rule(r"\be\.\s?g\.", "for example"),
        _rule(r"\bi\.\s?e\.", "that is"),
        _rule(r"\ba\.?k\.?a\.?(?=\s)", "also known as"),
        _rule(r"(?<!\S)w/o(?=\s)", "without"),
        _rule(r"(?<!\S)w/\s?(?=\w)", "with "),
        _rule(r"\b([A-Z]\w*\s+)(St|Rd|Dr|Ln)\.(?!\s+[A-Z])", _street, 0),
        _rule(rf"\b({_names(TITLES)})\b\.?(?=\s+[a-z])", _table(TITLES)),
        _rule(rf"\b({'|'.join(key.capitalize() for key in BEFORE_NAMES)})\.{name}", _table(BEFORE_NAMES), 0),
        _rule(rf"\b({_names(BEFORE_NUMBERS)})\.\s?(?=\d)", lambda found: _table(BEFORE_NUMBERS)(found) + " "),
        _rule(rf"\b({_names(ABBREVIATIONS)})\.", _ending(ABBREVIATIONS)),
        # letters
        _rule(r"\b([A-Z]{1,2})&([A-Z])\b", _pair, 0),
        _rule(r"(?<![\w.'’&])([A-Z]{2,6})(s|'s|’s)?(?![\w.]*[\w&])\.?", _letters, 0),
        _rule(r"\bmp([34])\b", lambda found: f"M.P. {numbers.digits(found[1])}"),
        # numbers that are left
        _rule(r"(?<=\d):(?=\d)", " to "),
        _rule(r"#\s?(?=\d)", " number "),
        _rule(r"#(?=[a-z])", " hashtag "),
        _rule(r"~\s?(?=\.?\d)", " about "),
        _rule(r"(?<=\d)\s?\*\s?(?=\d)", " times "),
        _rule(rf"{ALONE}({NUMBER})(?!\w)", lambda found: numbers.decimal(found[1])),
        _rule(r"\d+", lambda found: f" {numbers.code(found[0])} "),
        _rule("²", " squared "),
        _rule("³", " cubed "),
        # symbols
        _rule(rf"[{re.escape(''.join(SYMBOLS))}]", lambda found: f" {SYMBOLS[found[0]]} "),
        _rule(rf"[{re.escape(MUTE)}]", " "),
    )
