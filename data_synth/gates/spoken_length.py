"""How long a text is to speak, in letters of English: what the gate of seconds per character divides by.

One pair of thresholds then holds for every language: a Chinese character is a syllable and counts as several letters.
"""

from __future__ import annotations

import unicodedata

DIGIT_LETTERS = 4.0  # a digit is spoken as a word of about four letters

# Language (ISO 639-1) -> English letters that one of its letters lasts as long as. Measured: seconds a letter of
# espeak-ng 1.51 speaking Django 5.2's messages (30 of 12 to 90 letters, the same in every language; 19 to 30 where
# some are not translated), trimmed, divided by those of the English originals (0.069 s). Letters are what
# `str.isalnum` says, so vowel signs of Indic scripts do not count and their letters weigh more. Real speech of
# Asterisk's telephone prompts (33 to 52 a language, one speaker each; en 0.079 s): es 1.26, fr 0.96, it 0.83,
# ru 0.96. Speakers differ as much as alphabets; the thresholds, a factor of 12 apart, leave room for both.
# fmt: off
LANGUAGE_LETTERS: dict[str, float] = {
    "ar": 1.59, "bg": 1.03, "bn": 2.01, "ca": 0.91, "cs": 1.05, "cy": 1.02, "da": 0.88, "de": 0.89, "el": 0.94,
    "en": 1.00, "es": 0.96, "et": 1.12, "eu": 1.14, "fa": 1.47, "fi": 1.02, "fr": 0.80, "ga": 0.89, "he": 1.27,
    "hi": 1.87, "hr": 0.97, "hu": 1.10, "hy": 1.23, "id": 1.08, "is": 1.06, "it": 0.97, "ka": 1.16, "kk": 1.06,
    "lt": 1.18, "lv": 0.98, "mk": 1.01, "ml": 1.77, "mr": 1.80, "ms": 1.05, "nb": 1.00, "ne": 1.93, "nl": 0.95,
    "no": 1.00, "pa": 2.00, "pl": 1.09, "pt": 0.98, "ro": 1.05, "ru": 0.89, "sk": 1.04, "sl": 1.15, "sq": 1.03,
    "sr": 0.99, "sv": 1.03, "sw": 1.23, "ta": 1.76, "te": 2.15, "th": 2.03, "tr": 1.12, "uk": 0.78, "ur": 1.40,
    "uz": 1.07, "vi": 0.95,
}
# fmt: on

# First word of a character's Unicode name -> English letters, whatever the language. HANGUL: measured as above.
# The others from syllables a second, 5.2 in Mandarin and 7.8 in Japanese against 6.2 in English (Pellegrino, Coupé
# and Marsico, Language 87, 2011) at three letters an English syllable: 3.6 a Chinese character, 2.4 a kana. espeak-ng
# speaks Mandarin at 5.5; in Japanese a character of Chinese origin is about two kana.
SCRIPT_LETTERS: dict[str, float] = {"CJK": 4.0, "HIRAGANA": 2.4, "KATAKANA": 2.4, "HANGUL": 2.8}


def spoken_characters(text: str, language: str | None = "en") -> float:
    """How much there is to say, in letters of English: digits count 4, what is no letter or digit nothing.

    Args:
        text: of any script.
        language: its ISO 639-1 code, region and script (`pt-BR`) left aside; None or one that was not measured
            counts as English.
    """
    letter = LANGUAGE_LETTERS.get((language or "en").casefold().replace("_", "-").split("-")[0], 1.0)
    return sum(_letters(character, letter) for character in text if character.isalnum())


def _letters(character: str, letter: float) -> float:
    if character.isdigit():
        return DIGIT_LETTERS
    if character.isascii():
        return letter
    return SCRIPT_LETTERS.get(unicodedata.name(character, "").split(" ")[0], letter)
