"""What counts as the same words: the normaliser of openai-whisper, applied to references and hypotheses alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

Normaliser = Callable[[str], str]


@lru_cache(maxsize=8)
def normaliser(language: str = "en") -> Normaliser:
    """openai-whisper's English normaliser (number words become digits), or its basic one for other languages."""
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    normalise: Normaliser = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    return normalise


def normaliser_name(language: str = "en") -> str:
    """As named in results."""
    return "openai-whisper EnglishTextNormalizer" if language == "en" else "openai-whisper BasicTextNormalizer"
