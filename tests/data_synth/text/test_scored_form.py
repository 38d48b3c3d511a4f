"""What of a text is compared: marks are letters, scripts without spaces go by character, Latin text as in Whisper."""

from __future__ import annotations

import unicodedata

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_synth.text.scored_form import FORMS, FORMS_IN_WORDS, basic, characters, languages_own, scored_form, words

SENTENCES = [
    "¿Cuántos años tienes? ¡Diez, señor!",
    "L'été, c'est l'été -- n'est-ce pas ? (rires) [bruit]",
    "Perché no: città, più, 25,50 €",
    "Straße; größer als 5 %",
    "Съешь ещё этих мягких французских булок",
]


def wer(reference: str, hypothesis: str, language: str) -> float:
    form = scored_form(languages_own(language))
    return float(jiwer.wer(form(reference), form(hypothesis)))


def test_other_vowel_signs_are_other_words() -> None:
    whispers = scored_form("whisper-basic")
    assert whispers("नमस्ते दुनिया") == whispers("नमस्ता दुनियी")  # what was wrong
    assert wer("नमस्ते दुनिया", "नमस्ता दुनियी", "hi") == 1.0
    assert wer("नमस्ते दुनिया", "नमस्ते, दुनिया!", "hi") == 0.0


@pytest.mark.parametrize(
    ("text", "language"), [("שָׁלוֹם עוֹלָם", "he"), ("مَرْحَبًا بِالعَالَم", "ar"), ("வணக்கம் உலகம்", "ta"), ("Việt Nam", "vi")]
)
def test_words_stay_whole(text: str, language: str) -> None:
    assert len(scored_form(languages_own(language))(text).split()) == 2


def test_scripts_without_spaces_go_by_character() -> None:
    assert characters("我们去吃饭。") == "我 们 去 吃 饭"
    assert characters("ที่นี่") == "ที่ นี่"
    assert characters("ខ្មែរ").split()[0] == "ខ្មែ"  # coeng joins its letter
    assert characters("今日はWhisperを使う 2026年") == "今 日 は whisper を 使 う 2026 年"
    assert wer("我们去吃饭", "我们去喝饭", "zh") == pytest.approx(1 / 5)
    assert {languages_own(one) for one in ("th", "zh-CN", "yue", "ja_JP")} == {"characters"}
    assert {languages_own(one) for one in ("ko", "de", "hi")} == {"basic"}
    assert {languages_own(one) for one in ("en", "en-GB", "EN")} == {"english"}


@pytest.mark.parametrize("text", SENTENCES)
def test_without_marks_it_is_whispers_own(text: str) -> None:
    assert basic(text) == scored_form("whisper-basic")(text).strip()


@given(st.text(max_size=40))
def test_properties_of_any_text(text: str) -> None:
    for name in ("basic", "characters"):
        form = scored_form(name)
        made = form(text)
        assert made == " ".join(made.split())
        assert form(made) == made or "(" in text or "[" in text or "<" in text or made.lower() != made
        assert not any(unicodedata.category(letter)[0] in "PS" for letter in made)
    assert "".join(characters(text).split()) == "".join(basic(text).split())


def test_words_keep_apostrophes_and_marks() -> None:
    assert words("Don't STOP -- नमस्ते!") == ["don't", "stop", "नमस्ते"]


def test_every_form_has_its_words() -> None:
    assert set(FORMS) == set(FORMS_IN_WORDS)
