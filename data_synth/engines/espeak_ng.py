"""espeak-ng: formant synthesis in many accents and variants (22 kHz), a program of the operating system."""

from __future__ import annotations

import re
from itertools import product
from typing import ClassVar

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.system_program import ask, find_program, record
from data_synth.engines.support.voice_facts import VoiceFacts, base_language
from data_synth.engines.support.voice_names import VOICE_SEPARATOR, unknown_voice

WORDS_PER_MINUTE = 175  # espeak-ng's own pace
PITCH = 50  # espeak-ng's own, on its scale of 0-99
DEFAULT_VOICES = ("en-us", "en-us+f3", "en-gb", "en-gb+f2", "en-gb-scotland+m5", "en-gb-x-rp+f4")
ESPEAK_VARIANTS = (
    "",
    "f3",
    "m3",
    "f2",
    "m5",
    "f4",
    "m1",
    "f1",
    "m7",
    "f5",
    "m2",
    "m4",
    "m6",
    "m8",
)
DEFAULT_COUNT = 6  # voices of a language
ESPEAK_LANGUAGES = (
    "af", "am", "an", "ar", "as", "az", "ba", "be", "bg", "bn", "bpy", "bs", "ca", "chr", "cs", "cv", "cy", "da", "de",
    "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "ga", "gd", "gn", "grc", "gu", "hak", "haw", "he", "hi", "hr",
    "ht", "hu", "hy", "hyw", "ia", "id", "io", "is", "it", "ja", "jbo", "ka", "kk", "kl", "kn", "ko", "kok", "ku", "ky",
    "la", "lb", "lfn", "lt", "ltg", "lv", "mi", "mk", "ml", "mr", "ms", "mt", "my", "nci", "ne", "nl", "no", "nog",
    "om", "or", "pa", "pap", "pl", "pt", "py", "qu", "quc", "ro", "ru", "sd", "shn", "si", "sk", "sl", "smj", "sq",
    "sr", "sv", "sw", "ta", "te", "th", "tk", "tn", "tr", "tt", "ug", "uk", "ur", "uz", "vi", "yue", "zh",
)  # fmt: skip
ESPEAK_INSTALL = "apt install espeak-ng (or brew install espeak-ng)"
LANGUAGE_COLUMN, FILE_COLUMN = 1, 4  # of `espeak-ng --voices`
LATIN = "latn"  # in the name of an accent that reads its language in Latin letters
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
    languages: ClassVar = ESPEAK_LANGUAGES
    standing: ClassVar = 3
    install: ClassVar = ESPEAK_INSTALL

    def __init__(self) -> None:
        self._program = find_program("espeak-ng", ESPEAK_INSTALL)
        self.revision = f"espeak-ng {_version(ask([self._program, '--version']))}"
        self._accents = _accents(ask([self._program, "--voices"]))
        self._variants = _variants(ask([self._program, "--voices=variant"]))

    def voices(self) -> tuple[str, ...]:
        """Six English voices: four accents, women and men."""
        return DEFAULT_VOICES

    def known_voices(self) -> tuple[str, ...]:
        """Every accent, and the English voices with a variant that are taken when none is named."""
        return tuple(dict.fromkeys((*DEFAULT_VOICES, *self._accents)))

    def about(self, voice: str) -> VoiceFacts:
        """The accent's language; a variant's name says whether it is a woman's or a man's."""
        accent, _, variant = voice.partition(VOICE_SEPARATOR)
        sex = {"f": "female", "m": "male"}.get(variant[:1], "") if variant[1:].isdecimal() else ""
        return VoiceFacts((accent,), sex, "GPL-3.0 (the program)")

    def voices_for(self, language: str) -> tuple[str, ...]:
        """Six of the language: its accents, women and men."""
        if base_language(language) == "en":
            return self.voices()
        return self._all_of(language)[:DEFAULT_COUNT]

    def more_voices(self, language: str) -> tuple[str, ...]:
        """Every accent of the language with every variant that says whose it is."""
        return tuple(voice for voice in self._all_of(language) if voice not in self.voices_for(language))

    def _all_of(self, language: str) -> tuple[str, ...]:
        """Accents with variants, so that each accent and each variant comes early: de, fr-fr, fr-ch+f3, fr-be+m3."""
        accents = [accent for accent in self._accents if self.about(accent).speaks(language) and LATIN not in accent]
        accents.sort(key=lambda accent: "-" in self._accents[accent])  # a language's first accent is the file without
        variants = [variant for variant in ESPEAK_VARIANTS if variant in ("", *self._variants)]
        if not accents:
            return ()
        first = [(accents[place % len(accents)], variant) for place, variant in enumerate(variants)]
        pairs = dict.fromkeys((*first, *product(accents, variants)))
        return tuple(accent + (VOICE_SEPARATOR + variant if variant else "") for accent, variant in pairs)

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
