"""Which voices speak: those that specs such as `flite:slt+rms` name, in the language of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_synth.engines import Engine, load_engine
from data_synth.engines.base import facts_of, more_voices, voices_for
from data_synth.engines.support.voice_names import VOICE_SEPARATOR
from data_synth.plan.default_voices import nobody_speaks, speakers
from data_synth.plan.variants import VARIANT_MARK, VARIANTS, part_variant
from speech_analogy.errors import ConfigError, SynthesisError

LISTED_VOICES = 8  # in advice


@dataclass(frozen=True)
class Voice:
    """One voice of one engine, or a variant of it; as a string `engine:voice~variant`, the speaker of its clips."""

    engine: str
    name: str
    variant: str = ""

    @property
    def label(self) -> str:
        """What it is called in ledgers and cuts, within its engine: `joe`, `joe~low`."""
        return f"{self.name}{VARIANT_MARK}{self.variant}" if self.variant else self.name

    @property
    def plain(self) -> Voice:
        """The voice that it is a variant of, or itself."""
        return replace(self, variant="")

    @property
    def revision(self) -> str:
        """The version of its engine and of the voice, and what its variant changes, for a clip's key."""
        own = load_engine(self.engine).voice_revision(self.name)
        return f"{own}, {self.variant}: {VARIANTS[self.variant]}" if self.variant else own

    def __str__(self) -> str:
        return f"{self.engine}:{self.label}"


def find_voices(specs: Sequence[str], language: str | None = None) -> tuple[Voice, ...]:
    """The voices that specs such as `hibari`, `piper:joe`, `flite:slt+rms` name, in order, each once.

    A spec may itself be a comma-separated list. An engine alone stands for its own voices, of the texts' language;
    `piper:joe~low` is a variant of a voice.

    Args:
        language: of the texts; None: it is not looked at.

    Raises:
        SynthesisError: an engine or a voice does not exist, its package or program is not installed, or it does not
            speak the language (the engine's voices that do are named).
        ConfigError: nothing is named.
    """
    voices: dict[Voice, None] = {}
    for engine, selection in parted_specs(specs):
        plain, variant = part_variant(selection)
        names = _resolve(load_engine(engine), plain, language)
        voices.update(dict.fromkeys(Voice(engine, name, variant) for name in names))
    if not voices:
        raise ConfigError("no voice is named", field="engines", do="name some, such as hibari or flite:slt+rms")
    return tuple(voices)


def voice_tiers(
    specs: Sequence[str], language: str, voices_per_text: int, *, variants: bool = True
) -> tuple[tuple[Voice, ...], ...]:
    """The voices of `find_voices`, and behind them those that speak only where a text is to have more clips.

    Those are the further voices of engines that were named alone, and then variants of all voices. A voice that is
    another speaker with every seed needs none: with one among them, voices speak again.

    Raises:
        SynthesisError, ConfigError: see `find_voices`.
    """
    tiers = [find_voices(specs, language)]
    if not variants or voices_per_text <= len(tiers[0]):
        return tuple(tiers)
    if not all(facts_of(load_engine(voice.engine), voice.name).one_speaker for voice in tiers[0]):
        return tuple(tiers)
    more: dict[Voice, None] = {}
    for engine, selection in parted_specs(specs):
        if not selection:
            more.update(dict.fromkeys(Voice(engine, name) for name in _further(load_engine(engine), language)))
    tiers.append(tuple(voice for voice in more if voice not in tiers[0]))
    if voices_per_text > sum(map(len, tiers)):
        plain = dict.fromkeys(voice.plain for tier in tiers for voice in tier)
        made = [replace(voice, variant=variant) for variant in VARIANTS for voice in plain]
        tiers.append(tuple(voice for voice in made if voice not in tiers[0]))
    return tuple(tier for tier in tiers if tier)


def _further(engine: Engine, language: str) -> tuple[str, ...]:
    """Voices of an engine beyond its own; none where one of them cannot be had."""
    names = more_voices(engine, language)
    try:
        return engine.resolve(VOICE_SEPARATOR.join(names)) if names else ()
    except SynthesisError:
        return ()


def parted_specs(specs: Sequence[str]) -> list[tuple[str, str]]:
    """Of each spec the engine and which of its voices: `flite`, `slt+rms`; the second is empty where none is named."""
    parts = (part.strip() for item in specs for part in item.split(","))
    return [(engine.strip(), voices.strip()) for engine, _, voices in (part.partition(":") for part in parts if part)]


def _resolve(engine: Engine, selection: str, language: str | None) -> tuple[str, ...]:
    if language is None:
        return engine.resolve(selection)
    speaking = voices_for(engine, language)
    if not selection and not speaking:
        others = speakers(language)
        if not others:
            raise nobody_speaks(language)
        rule = f"the texts are in {language!r}, and the engine has no voice that speaks it"
        raise SynthesisError(rule, field="engines", value=engine.name, do=f"use {' or '.join(others)}")
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
