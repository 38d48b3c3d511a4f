"""A sample of every voice, to listen to: one sentence in its language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from data_synth.audio.encode import encode
from data_synth.engines import Failure, load_engine
from data_synth.engines.base import Utterance
from data_synth.engines.support.voice_facts import base_language
from data_synth.plan.inventory import VoiceRecord
from speech_analogy.errors import DataError
from speech_analogy.foundation.disk.refusals import os_errors
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.progress import bar

SENTENCES = {
    "de": "Guten Tag, so klingt diese Stimme.",
    "en": "Good morning, this is what this voice sounds like.",
    "es": "Buenos días, así suena esta voz.",
    "fr": "Bonjour, voici comment sonne cette voix.",
    "it": "Buongiorno, questa voce suona così.",
    "nl": "Goedemorgen, zo klinkt deze stem.",
    "pl": "Dzień dobry, tak brzmi ten głos.",
    "pt": "Bom dia, esta voz soa assim.",
    "ru": "Добрый день, так звучит этот голос.",
    "sv": "God morgon, så här låter den här rösten.",
}
ANY_LANGUAGE = "1 2 3 4 5"  # engines read digits in their own language


def write_samples(
    voices: Sequence[VoiceRecord], folder: Path, language: str | None, *, progress: bool = True
) -> tuple[list[Path], list[str]]:
    """Write `ENGINE-VOICE.flac` for every voice.

    Returns:
        the files, and a line for each voice that could not be spoken.

    Raises:
        DataError: the folder cannot be written.
    """
    written, failed = [], []
    with os_errors(folder, DataError), bar(len(voices), "listen", "voices", show=progress) as shown:
        folder.mkdir(parents=True, exist_ok=True)
        for record in voices:
            spoken_in = language or next(iter(record.languages), "en")
            text = SENTENCES.get(base_language(spoken_in), ANY_LANGUAGE)
            [clip] = load_engine(record.engine).synthesize([Utterance(text, record.voice)])
            if isinstance(clip, Failure):
                failed.append(f"{record.engine}:{record.voice}: {clip.reason}")
            else:
                name = re.sub(r"[^\w.+-]+", "_", f"{record.engine}-{Path(record.voice).name}")
                written.append(folder / f"{name}.flac")
                write_whole(written[-1], encode(clip.samples, clip.rate, "flac"))
            shown.update()
    return written, failed
