"""What counts as the same words: one normaliser a language, applied to references and hypotheses alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from data_synth.text.scored_form import FORMS_IN_WORDS, languages_own, scored_form

Normaliser = Callable[[str], str]
NormaliserName = Literal["english", "basic", "characters", "whisper-basic", "none"]
"""The forms of `data_synth.text.scored_form`."""


def normaliser(language: str = "en", name: NormaliserName | None = None) -> Normaliser:
    """openai-whisper's English normaliser (number words become digits); others as `data_synth.text.scored_form`.

    Args:
        name: in place of the language's own.
    """
    return scored_form(name or languages_own(language))


def normaliser_name(language: str = "en", name: NormaliserName | None = None) -> str:
    """As named in results."""
    return FORMS_IN_WORDS[name or languages_own(language)]
