"""From what a user names to training speech: in memory, or, where it is much, as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lhotse import CutSet

from speech_analogy.corpora.cuts import cuts_of, cuts_of_all
from speech_analogy.corpora.shar.shards import is_shar
from speech_analogy.corpora.streams.parts import has_more, parts_in
from speech_analogy.corpora.streams.stream import Stream
from speech_analogy.errors import ConfigError
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.speech.in_memory import SpeechInMemory
from speech_analogy.training.speech.source import TrainingSpeech
from speech_analogy.training.speech.streamed import StreamedSpeech

IN_MEMORY_AT_MOST = 10_000
"""Cuts of shards: of more, unless batches are by text, as many are in memory at a time."""

Buffer = int | Literal["auto"]


def training_speech(
    given: str | Path | CutSet | Sequence[str | Path], options: FinetuneOptions, buffer: Buffer, *, progress: bool
) -> tuple[TrainingSpeech, int | None]:
    """The speech that paths or cuts name, and the buffer that it is read through; None: all of it is in memory.

    Raises:
        DataError: it cannot be used.
        ConfigError: a buffer is asked for where there can be none.
    """
    if isinstance(given, CutSet):
        if buffer != "auto":
            raise _no_buffer("these cuts are in memory already", buffer)
        return SpeechInMemory(cuts_of(given)), None
    sources = [Path(given)] if isinstance(given, str | Path) else [Path(path) for path in given]
    if buffer == "auto":
        buffer = IN_MEMORY_AT_MOST
        shards = options.order == "duration" and all(is_shar(source) for source in sources)
        if not shards or not has_more(parts_in(sources), buffer):
            return SpeechInMemory(cuts_of_all(sources)), None
    if buffer < 1:
        raise ConfigError("the buffer must hold at least one cut", field="buffer", value=buffer)
    if options.order == "text":
        raise _no_buffer("batches by text need all texts at once", buffer)
    return StreamedSpeech(Stream(sources, buffer, progress=progress), progress=progress), buffer


def _no_buffer(rule: str, buffer: Buffer) -> ConfigError:
    return ConfigError(rule, field="buffer", value=buffer, do="leave it out")
