"""Is this clip usable: every gate is a number measured on the clip and the thresholds it is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_synth.audio.samples import Samples
from data_synth.gates import quality, round_trip
from data_synth.gates.quality import QualityOptions
from data_synth.gates.round_trip import RoundTripOptions
from data_synth.gates.spoken_length import spoken_characters
from speech_analogy.errors import SpeechAnalogyError, one_line
from speech_analogy.foundation.options import Options

LEVEL_FRAME_S = 0.01  # of the level contour
FULL_SCALE = 0.999  # |sample| from which a sample counts as clipped; the share, not the peak, is judged
SILENCE_FLOOR = 1e-4  # RMS (−80 dBFS) that is silence whatever the rest of the clip is
GRACE_CHARACTERS = 4  # added to every text: a single letter takes as long as a short word
LONGEST_CLIP_S = 30.0  # what recognisers hear at once
TINY = 1e-10  # keeps logarithms finite


class GateOptions(Options):
    """Thresholds of the gates; the defaults keep good clips of hibari, piper, flite and espeak-ng.

    They were set on 46 texts, from "a" to 25 words, in 13 voices of the four engines.
    """

    later: ClassVar = ("max_duration_s",)

    seconds_per_character: tuple[float, float] = Field(
        default=(0.02, 0.25),
        description="lowest and highest, of the trimmed clip, a letter of English; others: `spoken_length.py`",
    )
    language: str | None = Field(default=None, description="of the texts; None: that of the run")
    trim: bool = Field(default=True, description="cut leading and trailing silence down to `margin_s`")
    margin_s: float = Field(default=0.1, ge=0.0, description="silence left at either end by trimming")
    max_edge_silence_s: float = Field(default=1.5, gt=0.0, description="leading or trailing, before trimming")
    max_inner_silence_s: float = Field(default=1.0, gt=0.0, description="longest pause between two sounds")
    silence_db: float = Field(default=-50.0, lt=0.0, description="silence, relative to the loudest 10 ms")
    max_clipped_share: float = Field(default=0.002, ge=0.0, le=1.0, description="of samples at full scale")
    max_duration_s: float | None = Field(
        default=LONGEST_CLIP_S, gt=0.0, description="of the clip that is stored; None: any"
    )
    min_level_db: float = Field(default=-50.0, le=0.0, description="RMS of the trimmed clip in dBFS")
    quality: QualityOptions | None = Field(default=None, description="a learned score; None: not asked for")
    round_trip: RoundTripOptions | None = Field(default=None, description="a recogniser listens; None: none does")

    def for_language(self, language: str) -> Self:
        """These gates for texts in `language`, unless they name their own."""
        return self if self.language else self.model_copy(update={"language": language})

    def load(self) -> None:
        """Load what quality and round trip name, so that a mistake is reported before a clip is made.

        Raises:
            ConfigError: a name or parameter is wrong, or the recogniser is the one being trained.
            SynthesisError: a package or weights are missing.
        """
        if self.quality:
            quality.load_scorer(self.quality)
        if self.round_trip:
            round_trip.load_recogniser(self.round_trip)


@dataclass(frozen=True)
class Reading:
    """One gate's number and what it was held against; `value` is None where it could not be measured.

    `note` says why it could not, or gives the transcript.
    """

    value: float | None
    minimum: float | None = None
    maximum: float | None = None
    note: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the number lies within the thresholds; what could not be measured does not."""
        if self.value is None:
            return False
        return (self.minimum is None or self.value >= self.minimum) and (
            self.maximum is None or self.value <= self.maximum
        )


@dataclass(frozen=True)
class Verdict:
    """The clip to be stored (trimmed), every gate's reading, and why it is rejected (None: it is kept)."""

    samples: Samples
    readings: dict[str, Reading]
    reason: str | None


@dataclass(frozen=True)
class Silence:
    """Where a clip is silent, in seconds, and where its first and last sounds are, in samples."""

    leading_s: float
    trailing_s: float
    inner_s: float
    begin: int
    end: int


def is_speakable(text: str) -> bool:
    """Whether a text has a letter or a digit."""
    return any(character.isalnum() for character in text)


def find_silence(samples: Samples, rate: int, silence_db: float) -> Silence:
    """Silence by the RMS of 10 ms frames, relative to the loudest frame. Samples: (samples,)."""
    frame = max(1, round(LEVEL_FRAME_S * rate))
    levels = _frame_rms(samples, frame)  # (frames,)
    loud = np.flatnonzero(levels > max(SILENCE_FLOOR, levels.max(initial=0.0) * 10 ** (silence_db / 20)))
    if loud.size == 0:
        whole = len(samples) / rate
        return Silence(whole, whole, whole, 0, 0)
    begin, end = int(loud[0]) * frame, min(len(samples), (int(loud[-1]) + 1) * frame)
    longest = int((np.diff(loud) - 1).max(initial=0))
    return Silence(begin / rate, (len(samples) - end) / rate, longest * frame / rate, begin, end)


def judge(samples: Samples, rate: int, text: str, options: GateOptions | None) -> Verdict:
    """Hold one clip against every gate; without options only what cannot be stored at all is rejected.

    Args:
        samples: float32 mono, shape (samples,), as the engine made it.
        rate: its sampling rate in Hz.
        text: what it says.
        options: thresholds, or None to switch the gates off (the clip is then not trimmed either).
    """
    usable = {
        "samples": Reading(float(samples.size), minimum=1.0),
        "not_finite": Reading(float(samples.size - np.count_nonzero(np.isfinite(samples))), maximum=0.0),
    }
    if reason := _first_failure(usable):
        return Verdict(samples, usable, reason)
    if options is None:
        return Verdict(samples, {}, None)
    silence = find_silence(samples, rate, options.silence_db)
    spoken = samples[silence.begin : silence.end]
    readings = {
        "level_db": Reading(_level_db(spoken), minimum=options.min_level_db),
        "leading_silence_s": Reading(silence.leading_s, maximum=options.max_edge_silence_s),
        "trailing_silence_s": Reading(silence.trailing_s, maximum=options.max_edge_silence_s),
        "inner_silence_s": Reading(silence.inner_s, maximum=options.max_inner_silence_s),
        "clipped_share": Reading(float(np.mean(np.abs(samples) >= FULL_SCALE)), maximum=options.max_clipped_share),
        "seconds_per_character": Reading(
            len(spoken) / rate / (spoken_characters(text, options.language) + GRACE_CHARACTERS),
            *options.seconds_per_character,
        ),
    }
    kept = _trimmed(samples, rate, silence, options.margin_s) if options.trim else samples
    if options.max_duration_s is not None and len(kept) > options.max_duration_s * rate:
        readings["duration_s"] = Reading(len(kept) / rate, maximum=options.max_duration_s)
    reason = _first_failure(readings)
    for name, reading in () if reason else _model_readings(kept, rate, text, options):
        readings[name] = reading
        if reason := _first_failure({name: reading}):
            break
    return Verdict(kept, readings, reason)


def _model_readings(samples: Samples, rate: int, text: str, options: GateOptions) -> Iterator[tuple[str, Reading]]:
    """The gates that run a model, the most expensive last; the next is not asked where one has failed."""
    if options.quality:
        least = options.quality.minimum
        try:
            yield "quality", Reading(quality.score(samples, rate, options.quality), minimum=least)
        except SpeechAnalogyError:
            raise
        except Exception as error:  # a plug-in's own: it is recorded for the clip, and the run goes on
            yield "quality", Reading(None, minimum=least, note=one_line(error))
    if options.round_trip:
        most = options.round_trip.max_character_error_rate
        try:
            rate_of_errors, transcript = round_trip.listen(
                samples, rate, text, options.language or "en", options.round_trip
            )
            yield "character_error_rate", Reading(rate_of_errors, maximum=most, note=f"heard {transcript!r}")
        except SpeechAnalogyError:
            raise
        except Exception as error:
            yield "character_error_rate", Reading(None, maximum=most, note=one_line(error))


def _first_failure(readings: dict[str, Reading]) -> str | None:
    for name, reading in readings.items():
        if not reading.passed:
            note = f": {reading.note}" if reading.note else ""
            if reading.value is None:
                return f"{name} could not be measured{note}"
            low, high = reading.minimum, reading.maximum
            bound = f"below {low:g}" if low is not None and reading.value < low else f"above {high}"
            return f"{name} {reading.value:.3g} is {bound}{note}"
    return None


def _trimmed(samples: Samples, rate: int, silence: Silence, margin_s: float) -> Samples:
    margin = round(margin_s * rate)
    return samples[max(0, silence.begin - margin) : silence.end + margin]


def _level_db(samples: Samples) -> float:
    if samples.size == 0:
        return 20 * float(np.log10(TINY))
    return 20 * float(np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + TINY))


def _frame_rms(samples: Samples, frame: int) -> NDArray[np.float32]:
    """RMS of consecutive frames; the last, incomplete one is padded with zeros. (samples,) -> (frames,)"""
    frames = -(-len(samples) // frame)
    padded = np.zeros(frames * frame, np.float32)
    padded[: len(samples)] = samples
    return np.asarray(np.sqrt(np.mean(padded.reshape(frames, frame) ** 2, axis=1)), dtype=np.float32)
