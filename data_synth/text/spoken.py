"""What is said for a text: the label stays what the user wrote, the engine is given numbers and the like in words.

English has its own rules (`english.py`). In other languages whole and decimal numbers, and the percent sign where
`PERCENT` has the word, are put into words by num2words; dates, times, money and units are then read as their
numbers. A language that num2words does not have is left to the engine as it is written.
"""

from __future__ import annotations

import importlib
import re
from decimal import Decimal
from functools import cache
from re import Match
from types import ModuleType
from typing import Literal, TypeAlias

from data_synth.text.english.rules import plain_digits, speak_english
from speech_analogy.errors import SynthesisError

Speaking: TypeAlias = Literal["none", "auto"]

DECIMAL_COMMA = re.findall(
    r"\w+", "be bg ca cs da de el es fi fr hr hu id is it lt lv nl no pl pt ro ru sk sl sr sv tr uk vi"
)
PERCENT = {
    "de": "Prozent",
    "fr": "pour cent",
    "es": "por ciento",
    "it": "per cento",
    "pt": "por cento",
    "nl": "procent",
    "sv": "procent",
    "da": "procent",
    "pl": "procent",
    "no": "prosent",
}
LONGEST_NUMBER = 9  # digits without separators: a longer run is an identifier and is read digit by digit
COMMA_NUMBER = re.compile(r"\d{1,3}(?:[. \u00a0\u202f]\d{3})+(?!\d)(?:,\d+)?|\d+(?:,\d+)?")
POINT_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?")


def spoken_form(text: str, language: str = "en", mode: Speaking = "auto") -> str:
    """What an engine is given to say for `text`; `text` itself where nothing is to be put into words.

    A spoken form is its own spoken form, and in English it has no digit. Texts of letters and ordinary
    punctuation come back character for character.

    Args:
        text: the label.
        language: a tag such as `en`, `en-GB` (days before months), `de`, `pt_BR`.
        mode: `none` gives every engine the text as it is written.

    Raises:
        SynthesisError: a text in another language than English has digits, and num2words is not installed.
    """
    if mode == "none":
        return text
    base, _, region = language.lower().replace("_", "-").partition("-")
    if base in ("en", "eng"):
        return speak_english(text, region or "us")
    return _speak_numbers(text, base, region)


def has_digits(text: str) -> bool:
    """Whether a text has a digit of any script: how an engine reads it is the engine's affair."""
    return any(character.isdigit() for character in text)


def _speak_numbers(text: str, base: str, region: str) -> str:
    if not has_digits(text):
        return text
    language = _known_language(base, region)
    if language is None:
        return text
    comma = base in DECIMAL_COMMA

    def words(found: Match[str]) -> str:
        said = _number(found[0], comma, language)
        before, after = text_[: found.start()][-1:], text_[found.end() :][:1]
        return " " * before.isalnum() + said + " " * after.isalnum()

    text_ = plain_digits(text)
    if base in PERCENT:
        text_ = re.sub(r"(?<=\d)\s?%", f" {PERCENT[base]}", text_)
    return " ".join((COMMA_NUMBER if comma else POINT_NUMBER).sub(words, text_).split())


def _number(run: str, comma: bool, language: str) -> str:
    """A number in words; as it was written where num2words cannot."""
    plain = re.sub(r"[. \u00a0\u202f]", "", run).replace(",", ".") if comma else run.replace(",", "")
    say = num2words_package().num2words
    try:
        if plain == run and plain.isdigit() and (len(plain) > LONGEST_NUMBER or (plain[0] == "0" and len(plain) > 1)):
            return " ".join(str(say(int(digit), lang=language)) for digit in plain)
        return str(say(Decimal(plain) if "." in plain else int(plain), lang=language))
    except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError):  # each of its languages its own
        return run


def _known_language(base: str, region: str) -> str | None:
    converters = num2words_package().CONVERTER_CLASSES
    exact = f"{base}_{region.upper()}"
    return exact if exact in converters else base if base in converters else None


@cache
def num2words_package() -> ModuleType:
    """num2words, LGPL: used as it is when it is installed, no part of this package."""
    try:
        return importlib.import_module("num2words")
    except ImportError as error:
        raise SynthesisError(
            f"digits in a language other than English need num2words ({error})",
            field="spoken",
            do="install it: pip install num2words, or leave them to the engine: spoken none",
        ) from None
