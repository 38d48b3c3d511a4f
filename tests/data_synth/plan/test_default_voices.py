"""Voices that nobody named: by language, as many as help, and one line where nobody speaks it."""

from __future__ import annotations

import pytest

from data_synth.engines import load_engine
from data_synth.plan.default_voices import choose_voices
from data_synth.plan.voices import find_voices
from speech_analogy.errors import ConfigError
from tests.data_synth.installed import needs


def test_english_is_spoken_by_six_natural_voices() -> None:
    needs("hibari", "piper", "flite")
    choice = choose_voices("en", 2)
    assert choice.voices_per_text == 2
    assert choice.engines[:2] == ("hibari:heart", "piper:joe")
    voices = find_voices(choice.engines, "en")
    assert len(voices) == 6
    assert "espeak-ng" not in {voice.engine for voice in voices}
    assert choice.why.startswith("6 voices for 'en'")


@pytest.mark.parametrize("language", ["de", "es", "fr", "no", "zh", "pt-BR"])
def test_formant_synthesis_speaks_what_nothing_else_does(language: str) -> None:
    needs("espeak-ng")
    choice = choose_voices(language, 4)
    assert "no other engine" in choice.why
    voices = find_voices(choice.engines, language)  # every one is refused that speaks something else
    assert len(set(voices)) == 6


def test_more_clips_take_more_voices() -> None:
    needs("espeak-ng")
    assert len(find_voices(choose_voices("de", 9).engines)) == 9


def test_what_to_install_is_named_where_nobody_speaks_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    load_engine.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"no installed engine speaks .* \(found 'sw'\); install .*espeak-ng"):
            choose_voices("sw", 1)
    finally:
        load_engine.cache_clear()


def test_an_unknown_language_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"language: no installed engine speaks this language \(found 'xx'\)"):
        choose_voices("xx", 1)
    with pytest.raises(ConfigError, match="must be at least 1"):
        choose_voices("en", 0)
