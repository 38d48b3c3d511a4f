"""espeak-ng: formant synthesis in many accents and variants (22 kHz), a program of the operating system."""

from __future__ import annotations

import re
from typing import ClassVar

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.system_program import ask, find_program, record
from data_synth.engines.support.voice_names import VOICE_SEPARATOR, unknown_voice

WORDS_PER_MINUTE = 175  # espeak-ng's own pace
PITCH = 50  # espeak-ng's own, on its scale of 0-99
DEFAULT_VOICES = ("en-us", "en-us+f3", "en-gb", "en-gb+f2", "en-gb-scotland+m5", "en-gb-x-rp+f4")
LANGUAGE_COLUMN, FILE_COLUMN = 1, 4  # of `espeak-ng --voices`
MBROLA = "mb/"  # the folder of voices that need another program


class EspeakNgEngine(BaseEngine):
    """A voice is an accent, with or without a variant: `en-us`, `en-gb-scotland`, `en-us+f3`, `en-gb+m5`.

    In a selection `+` joins voices too: `en-us+f3+en-gb` are the two voices `en-us+f3` and `en-gb`, for a
    variant belongs to the accent before it. Parameters: `speed` (times 175 words a minute) and `pitch`
    (0 to 99, 50 the voice's own). The seed changes nothing. Accents are given to the program by their files:
    espeak-ng 1.51 forgets the variant of `en-gb+f2`, a language that names no file, and speaks `gmw/en+f2` well.
    """

    name = "espeak-ng"
    seeded = False
    parameter_ranges: ClassVar = {"speed": (0.5, 2.5), "pitch": (0, 99)}

    def __init__(self) -> None:
        self._program = find_program("espeak-ng", "apt install espeak-ng (or brew install espeak-ng)")
        self.revision = f"espeak-ng {_version(ask([self._program, '--version']))}"
        self._accents = _accents(ask([self._program, "--voices"]))
        self._variants = _variants(ask([self._program, "--voices=variant"]))

    def voices(self) -> tuple[str, ...]:
        """Six English voices: four accents, women and men."""
        return DEFAULT_VOICES

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`: accents joined by `+`, each with or without `+variant`."""
        if not selection:
            return self.voices()
        names: list[str] = []
        for part in (part.strip() for part in selection.split(VOICE_SEPARATOR)):
            if part in self._accents:
                names.append(part)
            elif part in self._variants and names and VOICE_SEPARATOR not in names[-1]:
                names[-1] += VOICE_SEPARATOR + part
            else:
                raise unknown_voice(self.name, part, (*self._accents, *self._variants))
        return tuple(names)

    def _file(self, voice: str) -> str:
        accent, separator, variant = voice.partition(VOICE_SEPARATOR)
        return self._accents[accent] + separator + variant

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance; the text goes through the program's input."""
        speed = round(WORDS_PER_MINUTE * number(utterance.parameters, "speed", 1.0))
        pitch = round(number(utterance.parameters, "pitch", PITCH))

        def command(wav: str) -> list[str]:
            settings = ["-v", self._file(utterance.voice), "-s", str(speed), "-p", str(pitch), "-b", "1"]  # 1: UTF-8
            return [self._program, *settings, "--stdin", "-w", wav]

        return record(command, utterance.text)


def _version(printed: str) -> str:
    """`1.51` from `eSpeak NG text-to-speech: 1.51  Data at: ...`."""
    words = printed.partition(":")[2].split()
    return words[0] if words else "unknown"


def _accents(table: str) -> dict[str, str]:
    """Language -> voice file, from `espeak-ng --voices`; the first of a language, without mbrola's voices."""
    accents: dict[str, str] = {}
    for row in (line.split() for line in table.splitlines()[1:]):
        if len(row) > FILE_COLUMN and not row[FILE_COLUMN].startswith(MBROLA):
            accents.setdefault(row[LANGUAGE_COLUMN], row[FILE_COLUMN])
    return accents


def _variants(table: str) -> tuple[str, ...]:
    """The names in `espeak-ng --voices=variant`: its files are `!v/NAME`."""
    return tuple(dict.fromkeys(re.findall(r"!v/(\S+)", table)))
