"""What counts as the same words: one normaliser a language, applied to references and hypotheses alike."""

from __future__ import annotations

from collections.abc import Callable

from data_synth.text.scored_form import FORMS_IN_WORDS, languages_own, scored_form

Normaliser = Callable[[str], str]


def normaliser(language: str = "en") -> Normaliser:
    """openai-whisper's English normaliser (number words become digits); others as `data_synth.text.scored_form`."""
    return scored_form(languages_own(language))


def normaliser_name(language: str = "en") -> str:
    """As named in results."""
    return FORMS_IN_WORDS[languages_own(language)]
