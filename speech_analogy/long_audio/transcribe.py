"""Recordings of any length to timed text: segments of several recordings decoded together, put back in order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from lhotse import CutSet

from data_synth.audio.samples import Samples
from speech_analogy.corpora.cut_files import CUTS_SUFFIXES
from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.evaluation.transcribe import TimedText, Transcript, Transcription, decode_arrays
from speech_analogy.evaluation.transcribe import transcribe as transcribe_cuts
from speech_analogy.foundation.progress import Bar, bar
from speech_analogy.long_audio.formats import TextWriter
from speech_analogy.long_audio.recordings import SoundFile, find_sound
from speech_analogy.long_audio.sound import duration_s, sound_blocks
from speech_analogy.long_audio.speech_finder import SpeechFinderOptions, SpeechSegment, speech_segments
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import backend_name, load_transcriber
from speech_analogy.recognisers.protocol import Transcriber
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import FULL_WINDOW_S, SAMPLING_RATE_HZ, Window, window_kind, window_seconds

HELD_SPEECH_S = 600.0  # decoded together: 38 MB of samples


@dataclass(frozen=True)
class Ended:
    """A recording's end: how long it is, or what was wrong with it."""

    duration_s: float
    problem: SpeechAnalogyError | None = None


@dataclass(frozen=True)
class SoundTranscriber:
    """A model, and how it transcribes recordings of any length.

    What is longer than one window of 30 s is cut where nobody speaks; what is shorter is decoded whole, as an
    evaluation decodes it, unless `find_always`. Several segments share a batch, also those of several recordings.

    Attributes:
        window: of the segments; trimmed ones hold one stretch of speech each, full ones as many as fit.
        channel: of recordings that have several, counted from 0; None: the mean of all.
    """

    transcriber: Transcriber
    decoding: DecodingOptions
    window: Window
    finder: SpeechFinderOptions
    find_always: bool = False
    channel: int | None = None

    @classmethod
    def load(
        cls,
        model: str | Path | Transcriber,
        decoding: DecodingOptions = DEFAULT_DECODING,
        finder: SpeechFinderOptions | None = None,
        *,
        find_always: bool = False,
        expected_s: float = 0.0,
        channel: int | None = None,
    ) -> SoundTranscriber:
        """Open a model.

        Args:
            finder: None: the default cutting, with neighbours joined where the window is the full one.
            expected_s: of audio; for the backend `auto`.

        Raises:
            CheckpointError, ConfigError: as `load_transcriber`.
        """
        folder = resolve_weights(str(model)) if isinstance(model, str | Path) else model.folder
        window = decoding.window or native_window(folder)
        transcriber = load_transcriber(
            folder if isinstance(model, str | Path) else model,
            decoding,
            window_s=max(expected_s, window_seconds(expected_s, window) if expected_s else 0.0),
        )
        how = finder or SpeechFinderOptions(join=window_kind(window) == "full")
        return cls(transcriber, decoding, window, how, find_always, channel)

    def texts(
        self, recordings: Sequence[SoundFile], shown: Bar | None = None
    ) -> Iterator[tuple[SoundFile, TimedText | Ended]]:
        """Every recording's segments that have words, in order of time, and its end; recordings in their order.

        Memory depends on neither their length nor their number. A recording that cannot be read ends with its problem;
        segments from before the damage come first.
        """
        held: list[tuple[SoundFile, SpeechSegment | Ended]] = []
        held_s = 0.0
        for recording, found in self._segments(recordings, shown):
            held.append((recording, found))
            held_s += found.end_s - found.start_s if isinstance(found, SpeechSegment) else 0.0
            if held_s >= HELD_SPEECH_S:
                yield from self._decoded(held)
                held, held_s = [], 0.0
        yield from self._decoded(held)

    def _segments(
        self, recordings: Sequence[SoundFile], shown: Bar | None
    ) -> Iterator[tuple[SoundFile, SpeechSegment | Ended]]:
        for recording in recordings:
            heard = _Counted(sound_blocks(recording.path, self.channel), shown)
            problem: SpeechAnalogyError | None = None
            try:
                for segment in self._cut(heard):
                    yield recording, segment
            except DataError as error:
                problem = error
            yield recording, Ended(heard.samples / SAMPLING_RATE_HZ, problem)

    def _cut(self, heard: Iterator[Samples]) -> Iterator[SpeechSegment]:
        """Segments; audio that fits into one window is one, whole."""
        first: list[Samples] = []
        if not self.find_always:
            for block in heard:
                first.append(block)
                if sum(map(len, first)) > FULL_WINDOW_S * SAMPLING_RATE_HZ:
                    break
            else:
                if sum(map(len, first)):
                    yield SpeechSegment(0.0, np.concatenate(first))
                return
        yield from speech_segments(chain(first, heard), self.finder)

    def _decoded(
        self, held: Sequence[tuple[SoundFile, SpeechSegment | Ended]]
    ) -> Iterator[tuple[SoundFile, TimedText | Ended]]:
        waves = [found.samples for _, found in held if isinstance(found, SpeechSegment)]
        how = self.decoding
        decoded = iter(decode_arrays(waves, self.transcriber, self.window, how.beams, how.fallback))
        for recording, found in held:
            if isinstance(found, Ended):
                yield recording, found
            elif text := next(decoded).text.strip():
                yield recording, TimedText(found.start_s, found.end_s, text)


class _Counted:
    """Blocks of samples, counted as they pass."""

    def __init__(self, blocks: Iterator[Samples], shown: Bar | None) -> None:
        self._blocks, self._shown, self.samples = blocks, shown, 0

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        block = next(self._blocks)
        self.samples += len(block)
        if self._shown is not None:
            self._shown.update(len(block) / SAMPLING_RATE_HZ)
        return block


def transcribe(
    source: str | Path | CutSet | Sequence[str | Path],
    model: str | Path | Transcriber,
    *,
    decoding: DecodingOptions = DEFAULT_DECODING,
    finder: SpeechFinderOptions | None = None,
    find_always: bool = False,
    channel: int | None = None,
    progress: bool = True,
) -> Transcription:
    """Transcribe cuts, or recordings of any length and format.

    Args:
        source: cuts or their path; an audio file, a folder of audio files, or several of them.
        model: weights by name or folder, a loaded recogniser, or a transcriber.
        decoding: as of `evaluation.transcribe.transcribe`.
        finder: how recordings over 30 s are cut; see `SoundTranscriber`.
        find_always: cut shorter ones, too.
        channel: of audio files that have several, counted from 0; None: the mean of all. Cuts name their own.

    Returns:
        the transcripts in order, of recordings with the times of their segments; recordings that cannot be read are
        among its `problems`.

    Raises:
        DataError: nothing to transcribe, or nothing of it can be read.
        CheckpointError, ConfigError: the model cannot be loaded, or not as asked.
    """
    if isinstance(source, CutSet) or (isinstance(source, str | Path) and str(source).endswith(CUTS_SUFFIXES)):
        return transcribe_cuts(source, model, decoding=decoding, progress=progress)
    sources = [source] if isinstance(source, str | Path) else source
    recordings = find_sound([Path(one) for one in sources])
    expected_s = expected_seconds(recordings)
    opened = SoundTranscriber.load(
        model, decoding, finder, find_always=find_always, expected_s=expected_s, channel=channel
    )
    start = time.perf_counter()
    transcripts: list[Transcript] = []
    problems: dict[str, str] = {}
    segments: list[TimedText] = []
    with bar(expected_s or None, "transcribe", "s of audio", show=progress) as shown:
        for recording, found in opened.texts(recordings, shown):
            if isinstance(found, TimedText):
                segments.append(found)
                continue
            if found.problem is not None:
                problems[recording.name] = str(found.problem)
            else:
                text = " ".join(segment.text for segment in segments)
                transcripts.append(Transcript(recording.name, text, found.duration_s, segments=tuple(segments)))
            segments = []
    if not transcripts:
        raise not_transcribed(problems, len(recordings))
    taken = time.perf_counter() - start
    return Transcription(
        transcripts, opened.window, taken, backend_name(opened.transcriber, decoding.text_bias), problems
    )


def follow(texts: Iterator[tuple[SoundFile, TimedText | Ended]], writer: TextWriter) -> None:
    """Write what comes, up to the end of one recording.

    Raises:
        DataError: the recording cannot be read, or not to its end.
    """
    begun = False
    for _, found in texts:
        if not begun and not (isinstance(found, Ended) and found.problem is not None):
            writer.begin()
            begun = True
        if isinstance(found, TimedText):
            writer.write(found)
        elif found.problem is None:
            return writer.end(found.duration_s)
        else:
            if begun:
                writer.abandon()
            raise found.problem
    return None


def expected_seconds(recordings: Sequence[SoundFile]) -> float:
    """By the headers, all together; what cannot be read counts nothing."""
    total = 0.0
    for recording in recordings:
        try:
            total += duration_s(recording.path) or 0.0
        except DataError:
            continue
    return total


def not_transcribed(problems: dict[str, str], recordings: int) -> DataError:
    """The error that lists what could not be transcribed, and why."""
    if len(problems) == 1 and recordings == 1:
        return DataError(next(iter(problems.values())))
    listed = "; ".join(problems.values())
    return DataError(f"{len(problems)} of {recordings} recordings could not be transcribed: {listed}")
