"""Text-to-speech engines: one file each behind one protocol, found through an entry-point group."""

from __future__ import annotations

from functools import cache

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BaseEngine, Engine, Failure, Outcome, Utterance
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.plugins import Plugins

__all__ = [
    "ENGINES",
    "BaseEngine",
    "Engine",
    "Failure",
    "Outcome",
    "Utterance",
    "Waveform",
    "load_engine",
]

ENGINES: Plugins[type[Engine]] = Plugins("data_synth.engines", "text-to-speech engine", "engine", SynthesisError)
"""Every installed engine's class. One that a program adds itself is known to this process alone, so its clips must be
made here: one worker, `isolated` off."""


@cache
def load_engine(name: str) -> Engine:
    """The engine called `name`; one per process.

    Raises:
        SynthesisError: no engine has that name (the nearest one is named), or its package or program is
            missing (what to install is named).
    """
    make = ENGINES.load(name)
    try:
        return make()
    except (ImportError, AttributeError) as error:
        raise SynthesisError(f"the engine cannot be loaded: {error}", field=name) from None
