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

from data_synth.text.english import dates as dates
from data_synth.text.english import numbers as numbers
from data_synth.text.english import quantities as quantities
from data_synth.text.english.word_tables import (
    ABBREVIATIONS,
    ADDRESS_SYMBOLS,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    CODES,
    CURRENCIES,
    DOLLARS,
    INITIALISMS,
    MONTH_NAMES,
    MUTE,
    NOT_SPELLED,
    STREETS,
    SYMBOLS,
    TITLES,
    TOP_DOMAINS,
    TOUCHING_UNITS,
    UNITS,
    cased,
)

Rule: TypeAlias = tuple[re.Pattern[str], Callable[[Match[str]], str]]

PASSES = 8  # a rule may make work for an earlier one ("mp3" is split, then "mp" is spelled); two or three is usual
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


# letters and abbreviations


def _table(table: dict[str, str]) -> Callable[[Match[str]], str]:
    return lambda found: cased(found[1], table[found[1].lower()])


def _ending(table: dict[str, str]) -> Callable[[Match[str]], str]:
    """As `_table`; a full stop that ends the text as well stays."""

    def words(found: Match[str]) -> str:
        return cased(found[1], table[found[1].lower()]) + ("." if found.end() == len(found.string) else "")

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
        _rule(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-])", dates.iso_date),
        _rule(r"(?<![\w/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)", dates.numeric_date(day_first)),
        _rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\w)", _version),
        _rule(rf"\b({MONTH})\b\.?\s+(\d{{1,2}})(st|nd|rd|th)?\b(?![:/.%]\w)(?:,?\s+(\d{{4}})\b)?", dates.month_day),
        _rule(
            rf"\b(the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({MONTH})\b\.?(?:,?\s+(\d{{4}})\b)?", dates.day_month
        ),
        _rule(rf"\b({MONTH})\b\.?,?\s+(\d{{4}})\b", dates.month_year),
        _rule(r"(?<![\w$£€.,])['’]?(\d{3}0|[1-9]0)['’]?s\b", dates.decade),
        _rule(r"(?<![\w:.])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?:\s?([ap])(?:\.\s?m\.|m\b\.?))?(?![\d:])", dates.time),
        _rule(r"(?<![\w:.])(1[0-2]|0?[1-9])\s?([ap])(?:\.\s?m\.|m\b\.?)", dates.hour),
        # ranges: 5-10, 1995–2000
        _rule(
            rf"(?<![\w.,/-])([{symbols}]?{NUMBER}[%kKmM]?)\s?–\s?(?=[{symbols}]?\d)"
            rf"|(?<![\w.,/-])([{symbols}]?{NUMBER}%?)-(?=[{symbols}]?{NUMBER}(?![\w-]*-\d))",
            lambda found: f"{found[1] or found[2]} to ",
        ),
        _rule(rf"(?<![\w.,)])-\s?(?=[{symbols}]?\.?\d)|(?<=\d) - (?=\d)", " minus "),
        # money, percentages, measures
        _rule(rf"{ALONE}({NUMBER}){scale}([{symbols}])(?!\d)", quantities.money_after),
        _rule(rf"(?:\b({_names(DOLLARS)}))?([{symbols}])\s?({NUMBER}){scale}", quantities.money),
        _rule(rf"{ALONE}({NUMBER}){scale}\s?([{symbols}]|(?:{_names(CODES)})\b)", quantities.money_after),
        _rule(rf"\b({_names(CODES)})\s?({NUMBER}){scale}", quantities.money_code),
        _rule(
            rf"{ALONE}({NUMBER})\s?¢",
            lambda found: f"{quantities.count(found[1])} cent{'' if found[1] == '1' else 's'}",
        ),
        _rule(rf"{ALONE}({NUMBER})\s?%", lambda found: f"{quantities.count(found[1])} percent "),
        _rule(
            r"(?<!\w)(\d)['’′]\s?(1?\d)(?:[\"”″]|'')",
            lambda found: f"{quantities.count(found[1])} foot {quantities.count(found[2])}",
        ),
        _rule(r"(?<=\d)\s?[x×]\s?(?=\d)", " by "),
        _rule(rf"{ALONE}({NUMBER})([\s-]?)({units})(?![\w²³/])", quantities.measure),
        _rule(
            r"\b(dollars?|cents?|euros?|pounds?|pence|yen|rupees?|[a-z]*bytes?|[a-z]*bits?|[a-z]*meters?|[a-z]*grams?)"
            r"\s?/\s?([a-z]+)\b",
            quantities.per,
        ),
        # ordinals, fractions
        _rule(
            r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d{1,18})(?:st|nd|rd|th)\b",
            lambda found: numbers.ordinal(int(found[1].replace(",", ""))),
        ),
        _rule(r"(?<![\w/.,])(?:(\d{1,9})\s)?(\d{1,3})/(\d{1,3})(?![\w/]|\.\d)", quantities.fraction),
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
