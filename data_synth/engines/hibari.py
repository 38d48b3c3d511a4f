"""hibari: small neural English voices (24 kHz), about 100 times faster than real time on one core."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.voice_facts import VoiceFacts
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.packages import require

HIBARI_INSTALL = "pip install 'hibari-tts>=0.2'"


class HibariEngine(BaseEngine):
    """`heart` is in the package; the other voices are downloaded by hibari when they are first used.

    The seed is that of the noise in the voice (breath and fricatives): other seeds differ little.
    `speed` runs from 0.5 to 2.0, as the package says.
    """

    name = "hibari"
    batch_size = 16
    parameter_ranges: ClassVar = {"speed": (0.5, 2.0)}
    languages: ClassVar = ("en",)
    standing: ClassVar = 1
    install: ClassVar = HIBARI_INSTALL

    def __init__(self) -> None:
        self._package = require("hibari", self.name, HIBARI_INSTALL)
        self._voices = require("hibari.voices", self.name, HIBARI_INSTALL)
        self._registry: dict[str, dict[str, Any]] = self._voices.VOICES
        self._loaded: dict[str, Any] = {}
        self.revision = f"hibari-tts {version('hibari-tts')}"

    def voices(self) -> tuple[str, ...]:
        """The voices that are in the package itself."""
        return tuple(name for name, voice in self._registry.items() if voice.get("bundled"))

    def known_voices(self) -> tuple[str, ...]:
        """Every voice of hibari's registry."""
        return tuple(self._registry)

    def about(self, voice: str) -> VoiceFacts:
        """As hibari's registry has it."""
        known = self._registry[voice]
        return VoiceFacts((known["language"],), known["gender"], "Apache-2.0")

    def more_voices(self, language: str) -> tuple[str, ...]:
        """Those of the language that were downloaded before."""
        return tuple(
            name
            for name in self._registry
            if name not in self.voices() and self.about(name).speaks(language) and self.is_here(name)
        )

    def is_here(self, voice: str) -> bool:
        """In the package, or downloaded before."""
        try:
            return bool(self._voices.voice_path(voice, download_missing=False))
        except OSError:
            return False

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`; a voice that is not in the package is downloaded here, once, or refused."""
        names = super().resolve(selection)
        for name in names:
            try:
                self._voices.voice_path(name)
            except (RuntimeError, OSError) as error:
                raise SynthesisError(str(error), field=self.name, value=name, do="use heart") from None
        return names

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance on one thread."""
        if utterance.voice not in self._loaded:
            self._loaded[utterance.voice] = self._package.Hibari(voice=utterance.voice, threads=1)
        voice = self._loaded[utterance.voice]
        samples = voice(utterance.text, speed=number(utterance.parameters, "speed", 1.0), seed=utterance.seed)
        return Waveform(np.asarray(samples, dtype=np.float32), int(voice.sample_rate))
