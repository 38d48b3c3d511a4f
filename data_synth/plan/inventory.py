"""What there is to speak with: every engine, ready or what it lacks, and every voice of those that are ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_synth.engines import ENGINES, Engine, load_engine
from data_synth.engines.base import BaseEngine, facts_of, voices_for
from data_synth.engines.support.voice_facts import base_language
from speech_analogy.errors import SpeechAnalogyError

INSTALL = "install it: "  # before the command, in errors


@dataclass(frozen=True)
class EngineRecord:
    """One registered engine.

    Attributes:
        voices: that it speaks English in, or its own language, when none is named; none where it is not ready.
        languages: that it has voices for, installed or not; none: not known.
        lack: why it is not ready; empty where it is.
        mend: the command, or else what to do.
    """

    name: str
    ready: bool
    voices: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    lack: str = ""
    mend: str = ""


@dataclass(frozen=True)
class VoiceRecord:
    """One voice of an engine that is ready; what is not known is empty.

    Attributes:
        default: whether it is taken where the engine alone is named.
        here: false where it is downloaded when it is first used.
    """

    engine: str
    voice: str
    languages: tuple[str, ...]
    sex: str
    licence: str
    default: bool
    here: bool


def list_engines() -> list[EngineRecord]:
    """Every registered engine, by name."""
    return [_engine(name) for name in ENGINES.names()]


def list_voices(language: str | None = None, engines: Sequence[str] = ()) -> list[VoiceRecord]:
    """Every voice that can be named, or those that speak a language; engine by engine.

    Args:
        engines: look at these alone; an empty sequence stands for all that are ready.

    Raises:
        SynthesisError: one of `engines` does not exist, or is not ready.
    """
    names = engines or [record.name for record in list_engines() if record.ready]
    return [voice for name in names for voice in _voices(load_engine(name), language)]


def _engine(name: str) -> EngineRecord:
    languages: tuple[str, ...] = ()
    install = ""
    try:
        made = ENGINES.load(name)
        if issubclass(made, BaseEngine):
            languages, install = made.languages, made.install
        engine = load_engine(name)
        install = ""  # its package is here
        voices = engine.resolve("")
    except SpeechAnalogyError as error:
        return EngineRecord(name, False, (), languages, error.rule, install or (error.do or "").removeprefix(INSTALL))
    return EngineRecord(name, True, voices, languages)


def _voices(engine: Engine, language: str | None) -> list[VoiceRecord]:
    known = engine.known_voices() if isinstance(engine, BaseEngine) else engine.voices()
    if language is not None:
        known = tuple(dict.fromkeys((*voices_for(engine, language), *known)))
    found = []
    for voice in known:
        facts = facts_of(engine, voice)
        if language is not None and not facts.speaks(language):
            continue
        spoken = [language] if language else sorted({base_language(tag) for tag in facts.languages}) or ["en"]
        default = any(voice in voices_for(engine, one) for one in spoken)
        here = not isinstance(engine, BaseEngine) or engine.is_here(voice)
        found.append(VoiceRecord(engine.name, voice, facts.languages, facts.sex, facts.licence, default, here))
    return found
