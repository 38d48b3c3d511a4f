"""flite: four English voices of Festival Lite (16 kHz), a program of the operating system."""

from __future__ import annotations

import re
from typing import ClassVar

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.system_program import ask, find_program, record
from data_synth.engines.support.voice_facts import VoiceFacts

VOICES = ("slt", "rms", "awb", "kal16")  # the 16 kHz ones, one speaker each
ACCENTS = {"awb": "en-GB-scotland"}  # the others are American
WOMEN = ("slt",)
FLITE_INSTALL = "apt install flite (or brew install flite)"


class FliteEngine(BaseEngine):
    """`speed` becomes flite's duration_stretch = 1 / speed. The seed changes nothing."""

    name = "flite"
    seeded = False
    parameter_ranges: ClassVar = {"speed": (0.25, 4.0)}
    languages: ClassVar = ("en",)
    standing: ClassVar = 2
    install: ClassVar = FLITE_INSTALL

    def __init__(self) -> None:
        self._program = find_program("flite", FLITE_INSTALL)
        found = re.search(r"version:\s*(\S+)", ask([self._program, "--version"]))
        self.revision = found.group(1) if found else "flite"
        listed = ask([self._program, "-lv"]).partition(":")[2].split()
        self._known = tuple(dict.fromkeys((*(voice for voice in VOICES if voice in listed), *listed)))

    def voices(self) -> tuple[str, ...]:
        """The 16 kHz voices that this flite has, one for each speaker."""
        return tuple(voice for voice in VOICES if voice in self._known)

    def about(self, voice: str) -> VoiceFacts:
        """English all of them; sex and licence are known of the four."""
        if voice not in VOICES:
            return VoiceFacts(self.languages)
        sex = "female" if voice in WOMEN else "male"
        return VoiceFacts((ACCENTS.get(voice, "en-US"),), sex, "free, as BSD (CMU)")

    def known_voices(self) -> tuple[str, ...]:
        """Every voice that this flite has."""
        return self._known

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance."""
        stretch = 1.0 / number(utterance.parameters, "speed", 1.0)

        def command(wav: str) -> list[str]:
            settings = ["-voice", utterance.voice, "--setf", f"duration_stretch={stretch:.6f}"]
            return [self._program, *settings, "-t", utterance.text, "-o", wav]

        return record(command, "")
