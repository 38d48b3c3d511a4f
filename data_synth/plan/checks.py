"""What a synthesis asks of its engines, checked before any work: voices, their language, parameters; and in words."""

from __future__ import annotations

from itertools import chain

from data_synth.engines import load_engine
from data_synth.plan.casting import check_ranges, voice_ranges
from data_synth.plan.default_voices import speakers
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.voices import Voice, voice_tiers
from speech_analogy.errors import SynthesisError

Tiers = tuple[tuple[Voice, ...], ...]
"""The voices that are asked for, then those that speak only where a text has more clips; see `voice_tiers`."""


def check_speech(options: SynthesisOptions) -> Tiers:
    """The voices of a synthesis, if it can be done; nothing is spoken.

    Raises:
        SynthesisError: an engine, a voice, its package or its weights are missing, a voice does not speak the language
            of the texts, or an engine takes no such parameter.
        ConfigError: no voice is named, or something is said of a voice that does not speak.
    """
    tiers = voice_tiers(options.engines, options.language, options.voices_per_text, variants=options.variants)
    voices = tuple(chain.from_iterable(tiers))
    used = {voice.engine for voice in voices}
    for engine in options.parameters:
        if engine not in used:
            raise SynthesisError("no voice of this engine is asked for", field=f"parameters.{engine}")
    for engine in sorted(used):
        for speed in options.speed:
            load_engine(engine).check({**options.parameters.get(engine, {}), "speed": speed})
    check_ranges(voice_ranges(options.voices, voices), options.parameters)
    return tiers


def settled(options: SynthesisOptions) -> SynthesisOptions:
    """The options without `variants` where they make no difference: so they name what earlier versions made.

    Options whose engines are not here stay as they are: whoever uses them will say what is missing.
    """
    if "variants" in options.left_out():
        return options
    try:
        needed = len(voice_tiers(options.engines, options.language, options.voices_per_text)) > 1
    except SynthesisError:
        return options
    return options if needed else options.model_copy(update={"variants": False})


def casting_note(options: SynthesisOptions, tiers: Tiers) -> str:
    """One line where a text has more clips than the voices that are asked for; empty where it has not."""
    asked = tiers[0]
    if options.voices_per_text <= len(asked):
        return ""
    named = ", ".join(map(str, asked))
    total = sum(map(len, tiers))
    said = f"{options.voices_per_text} clips a text and {_counted(len(asked), 'voice')} ({named})"
    made = sum(bool(voice.variant) for voice in chain.from_iterable(tiers[1:]))
    more = total - len(asked) - made
    found = [_counted(more, "further voice")] if more else []
    found += [_counted(made, "variant") + " of them"] if made else []
    if found:
        said += f": {' and '.join(found)} speak the rest"
    if options.voices_per_text > total:
        said += f"{';' if found else ':'} a voice speaks a text again, with another seed and speed"
    others = [engine for engine in speakers(options.language) if engine not in {voice.engine for voice in asked}]
    return said + (f". More voices: add {', '.join(others)} to the engines" if others else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
