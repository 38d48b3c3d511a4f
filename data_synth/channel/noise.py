"""Noise at a signal-to-noise ratio: stationary, of a colour, or pieces of recordings that are given."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field, field_validator

from data_synth.audio.recordings import count_samples, find_recordings, read_recording
from data_synth.audio.samples import Samples
from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.options import Options, Range, draw, in_words, within

Colour: TypeAlias = Literal["white", "pink", "brown"]

LOWEST_NOISE_HZ = 20.0  # below it coloured noise has no energy
SNR_DB = (-40.0, 100.0)
PLACES_TRIED = 8  # in a recording, for a piece that is not silent

_SLOPES: dict[Colour, float] = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # of amplitude over frequency


class NoiseOptions(Options):
    """Stationary noise: power ∝ 1 (white), 1/f (pink), 1/f² (brown), from 20 Hz up; or recordings."""

    later: ClassVar = ("files",)

    colour: Colour = "pink"
    snr_db: Annotated[Range, within(*SNR_DB)] = Field(
        default=15.0, description="mean power of the clip's speech over the noise's, before the codec; or a range"
    )
    files: tuple[Path, ...] = Field(
        default=(), description="recordings of noise, or folders of them, in place of a colour; seeded file and place"
    )

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_many(cls, files: object) -> object:
        return (files,) if isinstance(files, str | Path) else files

    def describe(self) -> str:
        """`pink noise 8 dB`, `noise of noises/ 5 to 15 dB`."""
        of = f" of {', '.join(path.name for path in self.files)}" if self.files else ""
        return f"{'' if self.files else f'{self.colour} '}noise{of} {in_words(self.snr_db)} dB"

    def snr_of(self, seed: int) -> float:
        """The ratio of one clip, dB."""
        return draw(self.snr_db, seed, "snr")

    def file_of(self, seed: int) -> Path | None:
        """The recording of one clip; None for a colour."""
        files = find_recordings(self.files)
        return files[derive(seed, "noise file") % len(files)] if files else None


def noise_for(speech: Samples, rate: int, options: NoiseOptions, seed: int) -> Samples:
    """Noise of speech's length (samples,) whose mean power is `snr_db` below that of `speech`.

    Raises:
        DataError: the recording that is drawn cannot be read, or is silent.
    """
    file = options.file_of(seed)
    if file is None:
        noise = coloured_noise(len(speech), rate, options.colour, seed)
    else:
        noise = recorded_noise(len(speech), rate, file, seed)
    speech_rms = math.sqrt(float(np.mean(np.square(speech, dtype=np.float64))))
    noise_rms = math.sqrt(float(np.mean(np.square(noise, dtype=np.float64))))
    if noise_rms == 0.0:
        return noise
    return noise * np.float32(speech_rms / noise_rms * 10 ** (-options.snr_of(seed) / 20))


def coloured_noise(count: int, rate: int, colour: Colour, seed: int) -> Samples:
    """Gaussian noise of `count` samples whose amplitude spectrum falls as f^0, f^-1/2 or f^-1; unscaled."""
    generator = np.random.Generator(np.random.PCG64(seed))
    if colour == "white":
        return generator.standard_normal(count, dtype=np.float32)
    frequencies = np.fft.rfftfreq(count, 1 / rate)  # Hz, (count // 2 + 1,)
    audible = frequencies >= LOWEST_NOISE_HZ
    shape = np.zeros_like(frequencies)
    shape[audible] = frequencies[audible] ** _SLOPES[colour]
    spectrum = np.fft.rfft(generator.standard_normal(count)) * shape
    return np.asarray(np.fft.irfft(spectrum, count), dtype=np.float32)


def recorded_noise(count: int, rate: int, file: Path, seed: int) -> Samples:
    """`count` samples of a recording from a seeded place on; one that is shorter is repeated. Unscaled.

    Raises:
        DataError: it cannot be read, or is silent wherever it was tried.
    """
    length = count_samples(file, rate)
    for attempt in range(PLACES_TRIED):
        place = derive(seed, "noise place", attempt)
        if length <= count:
            whole = read_recording(file, rate)
            piece = np.resize(np.roll(whole, -(place % max(1, len(whole)))), count) if whole.size else whole
        else:
            piece = np.resize(read_recording(file, rate, place % (length - count + 1), count), count)
        if piece.any():
            return np.asarray(piece, dtype=np.float32)
    raise DataError("the recording of noise is silent", file=file, do="take it out")
