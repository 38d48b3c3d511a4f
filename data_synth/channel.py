"""What lies between a mouth and a recogniser: a room, noise, band limits, a gain and a telephone codec; seeded.

The order is fixed: room -> noise -> band limits -> gain -> codec. Length, rate and (before the gain) the level
of the speech stay as they were, so labels stay valid.
"""

from __future__ import annotations

import hashlib
import io
import math
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
import soundfile
import soxr
from pydantic import Field, model_validator
from scipy.signal import butter, sosfilt
from tqdm import tqdm

from data_synth.clips import Storage, clip_path, encode, exists, limit_peak, write_whole
from data_synth.engines.base import Samples
from data_synth.folder import hold_folder
from data_synth.options import Options
from data_synth.room import RoomOptions, reverberate
from data_synth.seeds import derive, digest
from speech_analogy.errors import DataError, SynthesisError

if TYPE_CHECKING:
    from lhotse import CutSet, MonoCut

Colour: TypeAlias = Literal["white", "pink", "brown"]
Codec: TypeAlias = Literal["gsm", "mulaw"]

TELEPHONE_BAND_HZ = (300.0, 3400.0)
CODEC_RATE = 8_000  # Hz, of both telephone codecs
BAND_ORDER = 4  # of the Butterworth band-pass
LOWEST_NOISE_HZ = 20.0  # below it coloured noise has no energy
FILES_REMEMBERED = 64  # digests of recordings: cuts of one recording follow each other
PROGRESS_S, QUIET_PROGRESS_S = 0.5, 30.0  # between lines, on a terminal and elsewhere

_SLOPES: dict[Colour, float] = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # of amplitude over frequency
_SUBTYPES: dict[Codec, str] = {"gsm": "GSM610", "mulaw": "ULAW"}  # of libsndfile's WAV


class NoiseOptions(Options):
    """Stationary noise: power ∝ 1 (white), 1/f (pink), 1/f² (brown), from 20 Hz up."""

    colour: Colour = "pink"
    snr_db: float = Field(
        default=15.0, description="mean power of the clip's speech over the noise's, before the codec"
    )


class ChannelOptions(Options):
    """A channel; every part may be left out. With none, the samples come back unchanged."""

    room: RoomOptions | None = None
    noise: NoiseOptions | None = None
    band_hz: tuple[float, float] | None = Field(default=None, description="e.g. (300, 3400), a telephone's")
    gain_db: float = Field(default=0.0, ge=-60.0, le=60.0, description="peaks are kept below full scale")
    codec: Codec | None = Field(default=None, description="gsm (06.10) or mulaw (G.711), both at 8 kHz")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.band_hz is not None and not 0 < self.band_hz[0] < self.band_hz[1]:
            raise ValueError("band_hz must be 0 < low < high")
        return self

    def describe(self) -> str:
        """The channel in a few words, e.g. `room 0.3 s at 2 m, pink noise 8 dB, gsm`."""
        parts = []
        if self.room:
            ratio = self.room.direct_to_reverberant_db
            parts.append(f"room {self.room.rt60_s:g} s at {self.room.distance_m:g} m")
            parts[-1] += "" if ratio is None else f" (direct {ratio:+g} dB)"
        if self.noise:
            parts.append(f"{self.noise.colour} noise {self.noise.snr_db:g} dB")
        if self.band_hz:
            parts.append(f"{self.band_hz[0]:g}-{self.band_hz[1]:g} Hz")
        if self.gain_db:
            parts.append(f"gain {self.gain_db:+g} dB")
        if self.codec:
            parts.append(self.codec)
        return ", ".join(parts) or "none"


def apply_channel(samples: Samples, rate: int, options: ChannelOptions, seed: int) -> Samples:
    """The samples as they arrive: float32 of the same shape (samples,) at the same rate.

    Args:
        samples: float32 mono, nominally in [-1, 1].
        rate: Hz; at least 8000 where there is a codec.
        options: the channel.
        seed: picks the room of the pool and draws the noise; the same seed gives the same samples.
    """
    heard = np.asarray(samples, dtype=np.float32)
    if heard.size == 0:
        return heard
    if options.room:
        heard = reverberate(heard, rate, options.room, derive(seed, "room"))
    if options.noise:
        heard = heard + noise_for(heard, rate, options.noise, derive(seed, "noise"))
    if options.band_hz:
        heard = limit_band(heard, rate, options.band_hz)
    if options.gain_db:
        heard = heard * np.float32(10 ** (options.gain_db / 20))
    if options != ChannelOptions():
        heard = limit_peak(heard)
    if options.codec:
        heard = through_codec(heard, rate, options.codec)
    return np.asarray(heard, dtype=np.float32)


def noise_for(speech: Samples, rate: int, options: NoiseOptions, seed: int) -> Samples:
    """Noise of speech's length (samples,) whose mean power is `snr_db` below that of `speech`."""
    noise = coloured_noise(len(speech), rate, options.colour, seed)
    speech_rms = math.sqrt(float(np.mean(np.square(speech, dtype=np.float64))))
    noise_rms = math.sqrt(float(np.mean(np.square(noise, dtype=np.float64))))
    if noise_rms == 0.0:
        return noise
    return noise * np.float32(speech_rms / noise_rms * 10 ** (-options.snr_db / 20))


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


def limit_band(samples: Samples, rate: int, band_hz: tuple[float, float]) -> Samples:
    """Butterworth band-pass; an upper limit at or above half the rate limits nothing."""
    low, high = band_hz
    if high >= rate / 2:
        sections = butter(BAND_ORDER, low, "highpass", fs=rate, output="sos")
    else:
        sections = butter(BAND_ORDER, (low, high), "bandpass", fs=rate, output="sos")
    return np.asarray(sosfilt(sections, samples), dtype=np.float32)


def through_codec(samples: Samples, rate: int, codec: Codec) -> Samples:
    """Down to 8 kHz, through libsndfile's coder and decoder, and back; same length (samples,)."""
    narrow = soxr.resample(samples, rate, CODEC_RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, narrow, CODEC_RATE, format="WAV", subtype=_SUBTYPES[codec])
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, frames=len(narrow), dtype="float32")
    back = soxr.resample(decoded, CODEC_RATE, rate)[: len(samples)]
    return np.pad(back, (0, len(samples) - len(back))).astype(np.float32)


def channel_cuts(
    cuts: CutSet,
    out: Path,
    options: ChannelOptions,
    seed: int,
    copies: int = 1,
    *,
    storage: Storage = "flac",
    progress: bool = True,
    clips_root: Path | None = None,
) -> CutSet:
    """Send cuts through the channel into the folder `out`: clips/ and cuts.jsonl.gz. Goes on where it was killed.

    Every cut becomes a mono cut of its own recording, with its supervisions and `custom`; to the latter come
    `channel` (a description) and `copy` (0, 1, ...). A clip's key is made of the recording's bytes, the cut's
    id and span, the options, the seed and the copy.

    Args:
        cuts: with distinct ids.
        out: a new folder, or one begun with the same options and storage.
        options: the channel.
        seed: of the set; a cut's own seed follows from it, the cut's id and the copy.
        copies: clips a cut, each with another seed; above 1 their ids end in -c0, -c1, ...
        storage: flac or opus.
        progress: show a bar with the time left.
        clips_root: the name `out` will have when it is used, if it is to be renamed.

    Returns:
        The new cuts, in the order of `cuts`, the copies of one cut together.

    Raises:
        DataError: no cuts, ids not distinct, audio missing or not decodable, a folder that is another's.
        ConfigError: the folder was begun with other options.
        SynthesisError: a clip cannot be written.
    """
    from lhotse import CutSet  # brings torch along; options are read where nothing is heard

    from data_synth.manifest import CUTS_NAME, write_cuts

    sources = list(cuts)
    if not sources or len({cut.id for cut in sources}) < len(sources):
        raise DataError("there must be cuts, with distinct ids", field="cuts", value=f"{len(sources)} cuts")
    out = out.resolve()
    settings: dict[str, Any] = {"channel": options.model_dump(mode="json"), "storage": storage}
    root = (clips_root or out).absolute()
    with hold_folder(out, settings):
        bar = tqdm(
            total=len(sources) * copies,
            desc="channel",
            unit="clip",
            disable=not progress,
            mininterval=PROGRESS_S if sys.stderr.isatty() else QUIET_PROGRESS_S,
        )
        made: list[MonoCut] = []
        with bar:
            for cut, copy in _copies(sources, copies):
                path, count = _channel_clip(cut, copy, out, options, seed, storage)
                suffix = f"-c{copy}" if copies > 1 else ""
                made.append(_heard_cut(cut, cut.id + suffix, root / path, count, options, copy))
                bar.update()
        write_cuts(made, out / CUTS_NAME)
    return CutSet.from_cuts(made)


def _copies(cuts: list[Any], copies: int) -> Iterator[tuple[Any, int]]:
    return ((cut, copy) for cut in cuts for copy in range(copies))


def _channel_clip(
    cut: Any, copy: int, out: Path, options: ChannelOptions, seed: int, storage: Storage
) -> tuple[str, int]:
    """One clip, made or found: its path below `out`, and its number of samples."""
    its_seed = derive(seed, "channel", cut.id, copy)
    key = digest(
        {
            "audio": _audio_digest(cut),
            "span": [cut.id, cut.start, cut.duration],
            "channel": options.model_dump(mode="json"),
            "seed": its_seed,
        }
    )
    path = clip_path(key, storage)
    if exists(out / path):
        return path, int(soundfile.info(out / path).frames)
    samples = _load(cut)
    heard = apply_channel(samples, int(cut.sampling_rate), options, its_seed)
    try:
        write_whole(out / path, encode(heard, int(cut.sampling_rate), storage))
    except OSError as error:
        raise SynthesisError(f"a clip cannot be written: {error}", file=out, do="start again") from None
    return path, len(heard)


def _heard_cut(cut: Any, cut_id: str, path: Path, count: int, options: ChannelOptions, copy: int) -> MonoCut:
    from lhotse import MonoCut
    from lhotse.utils import fastcopy

    from data_synth.manifest import make_recording

    recording = make_recording(cut_id, path, count, int(cut.sampling_rate))
    supervisions = [
        fastcopy(
            supervision,
            id=cut_id if len(cut.supervisions) == 1 else f"{cut_id}-{number}",
            recording_id=cut_id,
            channel=0,
        )
        for number, supervision in enumerate(cut.supervisions)
    ]
    return MonoCut(
        id=cut_id,
        start=0.0,
        duration=recording.duration,
        channel=0,
        recording=recording,
        supervisions=supervisions,
        custom={**(cut.custom or {}), "channel": options.describe(), "copy": copy},
    )


def _load(cut: Any) -> Samples:
    """A cut's samples, channels averaged: (samples,)."""
    try:
        samples = cut.load_audio()
    except Exception as error:  # Lhotse raises whatever its backends raise
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"the cut's audio cannot be decoded: {reason}", field=cut.id) from None
    return np.asarray(samples.mean(axis=0), dtype=np.float32)


def _audio_digest(cut: Any) -> str:
    sources = cut.recording.sources if cut.has_recording else []
    if not sources or any(source.type != "file" for source in sources):
        raise DataError("the cut must have a recording in a file", field=cut.id)
    return digest([_file_digest(source.source) for source in sources])


@lru_cache(maxsize=FILES_REMEMBERED)
def _file_digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"the audio cannot be read: {error.strerror}", file=path) from None
