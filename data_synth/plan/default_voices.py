"""Which engines and voices speak where the user names none: by language, by what is installed, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from data_synth.engines import ENGINES, load_engine
from data_synth.engines.base import BaseEngine
from data_synth.engines.support.voice_facts import base_language
from data_synth.engines.support.voice_names import VOICE_SEPARATOR
from speech_analogy.errors import ConfigError, SpeechAnalogyError

ENOUGH_VOICES = 6  # as many took 6 points of WER off the analogy in place of one: tests/benchmarks/synthesis/RESULTS.md
LAST_RESORT = 3  # the standing of engines that speak only what nothing else does


@dataclass(frozen=True)
class VoiceChoice:
    """Engines and clips a text, as `SynthesisOptions` has them, and the reason in words."""

    engines: tuple[str, ...]
    voices_per_text: int
    why: str


def choose_voices(language: str, clips_per_text: int) -> VoiceChoice:
    """The voices of this machine that texts in a language are best spoken with.

    The most natural engines first, those behind them until there are six voices, and formant synthesis where nothing
    else speaks the language.

    Raises:
        ConfigError: no installed engine speaks it (what to install is named), or no clip is asked for.
    """
    if clips_per_text < 1:
        raise ConfigError("must be at least 1", field="clips_per_text", value=clips_per_text)
    groups = _groups(language)
    chosen: dict[str, tuple[str, ...]] = {}
    wanted = max(ENOUGH_VOICES, clips_per_text)
    for standing in sorted(groups):
        if standing == LAST_RESORT and chosen:
            break
        for engine in groups[standing]:
            chosen[engine.name] = engine.voices_for(language)
        for engine in groups[standing]:
            missing = max(0, wanted - sum(map(len, chosen.values())))
            chosen[engine.name] += _usable(engine, engine.more_voices(language)[:missing])
        if sum(map(len, chosen.values())) >= wanted:
            break
    if not chosen:
        raise nobody_speaks(language)
    specs = tuple(f"{engine}:{VOICE_SEPARATOR.join(voices)}" for engine, voices in chosen.items())
    return VoiceChoice(specs, clips_per_text, _why(language, chosen, formant=min(groups) == LAST_RESORT))


def speakers(language: str) -> dict[str, tuple[str, ...]]:
    """Engine -> its voices for a language, of the engines that can be used now and are taken without being named."""
    return {engine.name: engine.voices_for(language) for group in _groups(language).values() for engine in group}


def nobody_speaks(language: str) -> ConfigError:
    """The error for a language that no installed engine speaks; it says what to install."""
    found = list(dict.fromkeys(way for name in ENGINES.names() if (way := _way_to(name, language))))
    do = f"install one that does: {' or: '.join(found)}" if found else "give a code such as en or de, or name an engine"
    return ConfigError("no installed engine speaks this language", field="language", value=language, do=do)


def _way_to(name: str, language: str) -> str:
    """The command that makes an engine speak a language; empty where there is none."""
    try:
        made = ENGINES.load(name)
    except SpeechAnalogyError:
        return ""
    if not issubclass(made, BaseEngine) or base_language(language) not in map(base_language, made.languages):
        return ""
    if made.standing is None:
        return ""
    try:
        load_engine(name)
    except SpeechAnalogyError:
        return made.install
    return made.install_voices


def _groups(language: str) -> dict[int, list[BaseEngine]]:
    """Standing -> the engines of that standing which can speak the language now."""
    groups: dict[int, list[BaseEngine]] = defaultdict(list)
    for name in ENGINES.names():
        try:
            engine = load_engine(name)
            if not isinstance(engine, BaseEngine) or engine.standing is None:
                continue
            if _usable(engine, engine.voices_for(language)):
                groups[engine.standing].append(engine)
        except SpeechAnalogyError:
            continue  # it is not installed, or its weights are not here
    return groups


def _usable(engine: BaseEngine, voices: tuple[str, ...]) -> tuple[str, ...]:
    """The voices that the engine has; none of them where one cannot be had, or be named in a list."""
    if not voices:
        return ()
    try:
        found = engine.resolve(VOICE_SEPARATOR.join(voices))
    except SpeechAnalogyError:
        return ()
    return voices if found == voices else ()


def _why(language: str, chosen: dict[str, tuple[str, ...]], *, formant: bool) -> str:
    count = sum(map(len, chosen.values()))
    named = "; ".join(f"{engine} {', '.join(voices)}" for engine, voices in chosen.items())
    found = f"{count} voice{'' if count == 1 else 's'} for {language!r} ({named})"
    if formant:
        return f"{found}: no other engine that is installed speaks it"
    reason = "the most natural that are installed"
    if count < ENOUGH_VOICES:
        return f"{found}: {reason}; six voices in place of one took 6 points off the analogy's WER on speechocean762"
    return f"{found}: {reason}, for six voices in place of one took 6 points off the analogy's WER on speechocean762"
