"""Which voices speak: those that specs such as `flite:slt+rms` name, in the language of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_synth.engines import Engine, load_engine
from data_synth.engines.base import facts_of, voices_for
from data_synth.engines.support.voice_names import VOICE_SEPARATOR
from speech_analogy.errors import ConfigError, SynthesisError

LISTED_VOICES = 8  # in advice


@dataclass(frozen=True)
class Voice:
    """One voice of one engine; as a string `engine:voice`, the speaker of its clips."""

    engine: str
    name: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"


def find_voices(specs: Sequence[str], language: str | None = None) -> tuple[Voice, ...]:
    """The voices that specs such as `hibari`, `piper:joe`, `flite:slt+rms` name, in order, each once.

    A spec may itself be a comma-separated list. An engine alone stands for its own voices, of the texts' language.

    Args:
        language: of the texts; None: it is not looked at.

    Raises:
        SynthesisError: an engine or a voice does not exist, its package or program is not installed, or it does not
            speak the language (the engine's voices that do are named).
        ConfigError: nothing is named.
    """
    voices: dict[Voice, None] = {}
    for engine, selection in parted_specs(specs):
        names = _resolve(load_engine(engine), selection, language)
        voices.update(dict.fromkeys(Voice(engine, name) for name in names))
    if not voices:
        raise ConfigError("no voice is named", field="engines", do="name some, such as hibari or flite:slt+rms")
    return tuple(voices)


def parted_specs(specs: Sequence[str]) -> list[tuple[str, str]]:
    """Of each spec the engine and which of its voices: `flite`, `slt+rms`; the second is empty where none is named."""
    parts = (part.strip() for item in specs for part in item.split(","))
    return [(engine.strip(), voices.strip()) for engine, _, voices in (part.partition(":") for part in parts if part)]


def _resolve(engine: Engine, selection: str, language: str | None) -> tuple[str, ...]:
    if language is None:
        return engine.resolve(selection)
    speaking = voices_for(engine, language)
    if not selection and not speaking:
        do = f"name another engine: `speech-analogy voices --language {language}` lists them"
        rule = f"the engine has no voice that speaks {language!r}"
        raise SynthesisError(rule, field=f"engines: {engine.name}", do=do)
    if not selection:
        return engine.resolve("" if speaking == engine.voices() else VOICE_SEPARATOR.join(speaking))
    names = engine.resolve(selection)
    for name in names:
        facts = facts_of(engine, name)
        if not facts.speaks(language):
            rule = f"the texts are in {language!r}, and this voice speaks {', '.join(facts.languages)!r}"
            raise SynthesisError(rule, field=f"engines: {engine.name}", value=name, do=_instead(engine, speaking))
    return names


def _instead(engine: Engine, speaking: Sequence[str]) -> str:
    if not speaking:
        return "name another engine"
    more = " or another of its voices" if len(speaking) > LISTED_VOICES else ""
    return f"use {engine.name}:{VOICE_SEPARATOR.join(speaking[:LISTED_VOICES])}{more}"
