"""Rooms: impulse responses by the image method (pyroomacoustics), from a small seeded pool, or recorded ones."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data_synth.audio.recordings import read_recording
from data_synth.audio.samples import Samples
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.options import Options
from speech_analogy.foundation.packages import optional_package

SIZES_M = ((4.0, 7.0), (3.0, 5.0), (2.4, 3.2))  # length, width, height: from an office to a living room
HEIGHTS_M = (1.0, 1.8)  # of mouth and microphone above the floor
WALL_M = 0.4  # least distance of mouth and microphone from a wall
PLACEMENTS = 1000  # rooms tried for a place at the distance asked for
DIRECT_S = 0.0025  # what counts as direct in the direct-to-reverberant ratio, from its arrival
LEAD_S = 0.001  # of a recorded response before its peak, which is the direct path
ROOMS_CACHED = 256


class RoomOptions(Options):
    """A far-field microphone in a shoebox room.

    Rooms are drawn from `seed` and nothing else, so test sets with another seed get other rooms.
    """

    rt60_s: float = Field(default=0.3, ge=0.15, le=1.0, description="time in which the sound decays by 60 dB")
    distance_m: float = Field(default=2.0, ge=0.2, le=4.0, description="from mouth to microphone")
    direct_to_reverberant_db: float | None = Field(
        default=None, ge=-20.0, le=20.0, description="set by scaling the direct path; None: as the room has it"
    )
    rooms: int = Field(default=8, ge=1, le=ROOMS_CACHED, description="in the pool")
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        longest = math.hypot(*(high - 2 * WALL_M for _, high in SIZES_M[:2]))
        if self.distance_m > longest:
            raise ValueError(f"distance_m must be at most {longest:.1f}")
        return self


def reverberate(samples: Samples, rate: int, options: RoomOptions, seed: int) -> Samples:
    """`samples` (samples,) as heard in one room of the pool: same length, same RMS, direct path in place."""
    return convolve(samples, impulse_response(rate, options, seed % options.rooms))


def reverberate_as(samples: Samples, rate: int, response: Path) -> Samples:
    """`samples` (samples,) as heard in the room of a recorded response: same length, same RMS, direct path in place.

    Raises:
        DataError: the recording cannot be read, or is silent.
    """
    return convolve(samples, *recorded_response(rate, response))


def convolve(samples: Samples, response: Samples, lead: int = 0) -> Samples:
    """`samples` (samples,) through a room whose direct path is `lead` samples into its response; same length, RMS."""
    from scipy.signal import fftconvolve  # slow to import, and most runs have no room

    wet = fftconvolve(samples, response)[lead : lead + len(samples)]
    power = float(np.mean(np.square(wet))) if len(wet) else 0.0
    if power == 0.0:
        return samples
    level = math.sqrt(float(np.mean(np.square(samples))) / power)
    return np.asarray(wet * level, dtype=np.float32)


@lru_cache(maxsize=ROOMS_CACHED)
def recorded_response(rate: int, path: Path) -> tuple[Samples, int]:
    """A recorded impulse response at `rate` Hz, and how many samples its direct path, the peak, is into it.

    Raises:
        DataError: the recording cannot be read, or is silent.
    """
    recording = read_recording(path, rate)
    if not recording.any():
        raise DataError("the impulse response is silent", file=path, do="take it out")
    peak = int(np.argmax(np.abs(recording)))
    lead = min(peak, round(LEAD_S * rate))
    return recording[peak - lead :], lead


@lru_cache(maxsize=ROOMS_CACHED)
def impulse_response(rate: int, options: RoomOptions, room: int) -> NDArray[np.float32]:
    """The impulse response of room number `room`, beginning with the direct path: float32 (samples,).

    Allen & Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65 (1979); the walls'
    absorption and the order of reflections follow from rt60_s by Sabine's formula.
    """
    acoustics = _acoustics()
    size, mouth, microphone = _place(options, random.Random(derive("room", options.seed, room)))
    absorption, order = acoustics.inverse_sabine(options.rt60_s, size)
    shoebox = acoustics.ShoeBox(size, fs=rate, materials=acoustics.Material(absorption), max_order=order)
    shoebox.add_source(mouth)
    shoebox.add_microphone(microphone)
    threads = acoustics.constants.get("num_threads")
    acoustics.constants.set("num_threads", 1)  # sums depend on their order: the same bytes on every machine
    try:
        shoebox.compute_rir()
    finally:
        acoustics.constants.set("num_threads", threads)
    response = np.asarray(shoebox.rir[0][0], dtype=np.float64)  # (samples,)
    half_filter = acoustics.constants.get("frac_delay_length") // 2  # samples of delay of every arrival
    direct = half_filter + round(math.dist(mouth, microphone) / shoebox.c * rate)
    response = response[direct:]
    if options.direct_to_reverberant_db is not None:
        response = _with_ratio(response, rate, options.direct_to_reverberant_db)
    return np.asarray(response, dtype=np.float32)


def _with_ratio(response: NDArray[np.float64], rate: int, ratio_db: float) -> NDArray[np.float64]:
    """Scale the direct path, the first 2.5 ms, so that its energy is `ratio_db` above that of the rest."""
    window = round(DIRECT_S * rate)
    energy, rest = (float(np.sum(part**2)) for part in (response[:window], response[window:]))
    factor = math.sqrt(10 ** (ratio_db / 10) * rest / energy)
    return np.concatenate([response[:window] * factor, response[window:]])


def _place(options: RoomOptions, dice: random.Random) -> tuple[list[float], list[float], list[float]]:
    """A room's size, and places for mouth and microphone at the distance asked for, all in metres."""
    for _ in range(PLACEMENTS):
        size = [low + (high - low) * dice.random() for low, high in SIZES_M]
        mouth = [WALL_M + (side - 2 * WALL_M) * dice.random() for side in size[:2]]
        heights = [HEIGHTS_M[0] + (HEIGHTS_M[1] - HEIGHTS_M[0]) * dice.random() for _ in range(2)]
        level = options.distance_m**2 - (heights[0] - heights[1]) ** 2
        if level < 0:
            continue
        angle, reach = 2 * math.pi * dice.random(), math.sqrt(level)
        ear = [mouth[0] + reach * math.cos(angle), mouth[1] + reach * math.sin(angle)]
        if all(WALL_M <= place <= side - WALL_M for place, side in zip(ear, size, strict=False)):
            return size, [*mouth, heights[0]], [*ear, heights[1]]
    raise ConfigError("no room holds such a distance", field="room.distance_m", value=options.distance_m)


def _acoustics() -> ModuleType:
    return optional_package("pyroomacoustics", "pyroomacoustics", "a simulated room", "channel.room")
