"""What of a text counts where two are compared: case, punctuation and symbols do not, letters and their marks do.

openai-whisper's basic normaliser puts a space for every mark (Unicode's category M): it drops the vowel signs of Indic
scripts, so that नमस्ते दुनिया and नमस्ता दुनियी are one text, and divides words of Thai and of vowelled Arabic and
Hebrew. Here marks stay. Where a text has none, as in French or Spanish, both give the same. Scripts that write no
spaces between words are compared by character (a letter with its marks), as the paper of Whisper and the field do
(Radford et al., arXiv 2212.04356, appendix C).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

ScoredForm = Callable[[str], str]

BY_CHARACTER = frozenset({"bo", "dz", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh"})
"""Languages without spaces between words."""
_IN_BRACKETS = re.compile(r"[<\[][^>\]]*[>\]]|\(([^)]+?)\)")
_VIRAMAS = frozenset("\u0f84\u1039\u17d2")  # Tibetan, Myanmar, Khmer: the next letter is written below


def languages_own(language: str) -> str:
    """The name of the form that a language is compared in: `english`, `characters` or `basic`."""
    short = language.lower().replace("_", "-").split("-")[0]
    return "english" if short == "en" else "characters" if short in BY_CHARACTER else "basic"


@lru_cache(maxsize=8)
def scored_form(name: str) -> ScoredForm:
    """A form by its name, one of `FORMS`.

    Raises:
        KeyError: there is none of this name.
    """
    return FORMS[name]()


def basic(text: str) -> str:
    """Lower case without punctuation, symbols and what stands in brackets; marks are kept, invisible signs are not."""
    text = unicodedata.normalize("NFKC", _IN_BRACKETS.sub("", text.lower()))
    return " ".join("".join(map(_kept, text)).lower().split())


def characters(text: str) -> str:
    """As `basic`, each character by itself: a letter with its marks is one. Words of other scripts stay whole."""
    return " ".join(piece for word in basic(text).split() for piece in _divided(word))


def words(text: str) -> list[str]:
    """Words in lower case: letters, digits and apostrophes, marks kept."""
    return "".join(one if one in "'_" else _kept(one) for one in text.casefold()).split()


def as_written(text: str) -> str:
    """The text itself, its words divided by one space each."""
    return " ".join(text.split())


def _kept(letter: str) -> str:
    category = unicodedata.category(letter)
    if category in ("Cf", "Cc") or "\ufe00" <= letter <= "\ufe0f":  # invisible: joiners, directions, variants
        return " " if letter.isspace() else ""
    return " " if category[0] in "SP" else letter


def _divided(word: str) -> Iterator[str]:
    piece = ""
    for letter in word:
        inside = piece and (unicodedata.category(letter)[0] == "M" or piece[-1] in _VIRAMAS)
        alike = piece and _has_spaces(letter) and _has_spaces(piece[-1])
        if piece and not inside and not alike:
            yield piece
            piece = ""
        piece += letter
    if piece:
        yield piece


def _has_spaces(letter: str) -> bool:
    """Is it of a script that divides words by spaces (Latin, Greek, Cyrillic), or a digit?"""
    name = unicodedata.name(letter, "")
    return letter.isdigit() or name.startswith(("LATIN", "GREEK", "CYRILLIC"))


def _english() -> ScoredForm:
    from whisper.normalizers import EnglishTextNormalizer  # brings torch along

    made: ScoredForm = EnglishTextNormalizer()

    def english(text: str) -> str:
        try:
            return made(text)
        except (ArithmeticError, AssertionError, LookupError, ValueError):  # digits that are no number to it
            return basic(text)

    return english


def _whispers_basic() -> ScoredForm:
    from whisper.normalizers import BasicTextNormalizer

    made: ScoredForm = BasicTextNormalizer()
    return made


FORMS: dict[str, Callable[[], ScoredForm]] = {
    "english": _english,
    "basic": lambda: basic,
    "characters": lambda: characters,
    "whisper-basic": _whispers_basic,
    "none": lambda: as_written,
}
FORMS_IN_WORDS = {
    "english": "openai-whisper EnglishTextNormalizer",
    "basic": "case, punctuation and symbols left out, marks kept",
    "characters": "by character: case, punctuation and symbols left out, marks kept",
    "whisper-basic": "openai-whisper BasicTextNormalizer",
    "none": "none: words as they are written",
}
