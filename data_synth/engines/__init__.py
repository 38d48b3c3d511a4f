"""Text-to-speech engines: one file each behind one protocol, found through an entry-point group."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import entry_points

from data_synth.engines.base import BaseEngine, Engine, Failure, Outcome, Utterance, Waveform
from speech_analogy.errors import SynthesisError

__all__ = [
    "ENGINE_GROUP",
    "BaseEngine",
    "Engine",
    "Failure",
    "Outcome",
    "Utterance",
    "Waveform",
    "engine_names",
    "load_engine",
]

ENGINE_GROUP = "data_synth.engines"


def engine_names() -> tuple[str, ...]:
    """The names of all installed engines, sorted; their packages or programs may still be missing."""
    return tuple(sorted({point.name for point in entry_points(group=ENGINE_GROUP)}))


@cache
def load_engine(name: str) -> Engine:
    """The engine called `name`; one a process.

    Raises:
        SynthesisError: no engine has that name (the nearest is named), or its package or program is
            missing (what to install is named).
    """
    found = {point.name: point for point in entry_points(group=ENGINE_GROUP)}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
        do = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(sorted(found))}"
        raise SynthesisError("no text-to-speech engine has this name", field="engine", value=name, do=do)
    try:
        engine: Engine = found[name].load()()
    except (ImportError, AttributeError) as error:
        raise SynthesisError(f"the engine cannot be loaded: {error}", field=name) from None
    return engine
