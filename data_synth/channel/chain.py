"""What lies between a mouth and a recogniser: a voice, a room, noise, band limits, a gain and a codec; seeded.

The order is fixed: speed, tempo, pitch, formants -> room -> noise -> band limits -> gain -> codec. Rate and (before
the gain) the level of the speech stay as they were; length changes with speed and tempo alone (`pace_of`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from data_synth.audio.encode import limit_peak
from data_synth.audio.recordings import file_digest, find_recordings, recordings_digest
from data_synth.audio.samples import Samples
from data_synth.channel.codecs import CODERS, Codec, through_codec
from data_synth.channel.noise import NoiseOptions, noise_for
from data_synth.channel.prosody import change_voice
from data_synth.channel.room import RoomOptions, reverberate, reverberate_as
from speech_analogy.foundation.digests import derive, digest
from speech_analogy.foundation.options import Options, Range, draw, ends, in_words, within

BAND_ORDER = 4  # of the Butterworth band-pass
PACES = (0.5, 2.0)  # times as fast
SEMITONES = (-12.0, 12.0)
FORMANTS = (0.7, 1.4)  # vocal tracts of children and of tall men differ by less
GAIN_DB = (-60.0, 60.0)


class ChannelOptions(Options):
    """A channel; every part may be left out. With none, the samples come back unchanged.

    Where a number may be a range (low, high), every clip draws its own, uniformly, from its seed.
    """

    later: ClassVar = ("speed", "tempo", "pitch_semitones", "formants", "responses", "codec_kbps")

    speed: Annotated[Range, within(*PACES)] = Field(
        default=1.0, description="times as fast by resampling: pitch and formants follow; or a range"
    )
    tempo: Annotated[Range, within(*PACES)] = Field(default=1.0, description="times as fast, pitch kept; or a range")
    pitch_semitones: Annotated[Range, within(*SEMITONES)] = Field(
        default=0.0, description="of the voice, formants kept; or a range"
    )
    formants: Annotated[Range, within(*FORMANTS)] = Field(
        default=1.0, description="their frequencies times this, pitch kept: a shorter vocal tract; or a range"
    )
    room: RoomOptions | None = None
    responses: tuple[Path, ...] = Field(
        default=(), description="recorded impulse responses, or folders of them, in place of a simulated room"
    )
    noise: NoiseOptions | None = None
    band_hz: tuple[float, float] | None = Field(default=None, description="e.g. (300, 3400), a telephone's")
    gain_db: Annotated[Range, within(*GAIN_DB)] = Field(
        default=0.0, description="peaks are kept below full scale; or a range"
    )
    codec: Codec | None = Field(
        default=None, description="gsm (06.10), mulaw or alaw (G.711) at 8 kHz; opus or mp3 at 16 kHz"
    )
    codec_kbps: Range | None = Field(default=None, description="of opus (6 to 256) and mp3 (16 to 160); or a range")

    @field_validator("responses", mode="before")
    @classmethod
    def _one_or_many(cls, files: object) -> object:
        return (files,) if isinstance(files, str | Path) else files

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.band_hz is not None and not 0 < self.band_hz[0] < self.band_hz[1]:
            raise ValueError("band_hz must be 0 < low < high")
        if self.room and self.responses:
            raise ValueError("room simulates impulse responses and responses names recorded ones: give one of them")
        if self.codec_kbps is not None:
            kbps = CODERS[self.codec].kbps if self.codec else None
            if kbps is None:
                raise ValueError("codec_kbps is only valid with the codecs opus and mp3")
            low, high = ends(self.codec_kbps)
            if not kbps[0] <= low <= high <= kbps[1]:
                raise ValueError(f"codec_kbps of {self.codec} must be from {kbps[0]:g} to {kbps[1]:g}")
        return self

    def describe(self) -> str:
        """The channel in a few words, e.g. `room 0.3 s at 2 m, pink noise 8 dB, gsm`."""
        parts = []
        for name, neutral, unit in (
            ("speed", 1.0, ""), ("tempo", 1.0, ""), ("pitch_semitones", 0.0, " semitones"), ("formants", 1.0, "")
        ):  # fmt: skip
            if getattr(self, name) != neutral:
                parts.append(f"{name.partition('_')[0]} {in_words(getattr(self, name))}{unit}")
        if self.room:
            ratio = self.room.direct_to_reverberant_db
            parts.append(f"room {self.room.rt60_s:g} s at {self.room.distance_m:g} m")
            parts[-1] += "" if ratio is None else f" (direct {ratio:+g} dB)"
        if self.responses:
            parts.append(f"room of {', '.join(path.name for path in self.responses)}")
        if self.noise:
            parts.append(self.noise.describe())
        if self.band_hz:
            parts.append(f"{self.band_hz[0]:g}-{self.band_hz[1]:g} Hz")
        if self.gain_db:
            parts.append(f"gain {' to '.join(f'{end:+g}' for end in dict.fromkeys(ends(self.gain_db)))} dB")
        if self.codec:
            rate = f" {in_words(self.codec_kbps)} kbit/s" if self.codec_kbps else ""
            parts.append(self.codec + rate)
        return ", ".join(parts) or "none"

    def drawn(self, seed: int) -> dict[str, float | str]:
        """What the clip of this seed draws from ranges and files: option -> value or file name; to be recorded."""
        found: dict[str, float | str] = {
            name: self.value_of(name, seed)
            for name in ("speed", "tempo", "pitch_semitones", "formants", "gain_db", "codec_kbps")
            if isinstance(getattr(self, name), tuple)
        }
        if self.noise and isinstance(self.noise.snr_db, tuple):
            found["snr_db"] = self.noise.snr_of(_noise_seed(seed))
        return found | {name: file.name for name, file in self._files(seed).items()}

    def content(self, seed: int) -> dict[str, str]:
        """What enters the key of a clip beside these options: the sha256 of the files that its seed draws."""
        return {name: file_digest(str(file)) for name, file in self._files(seed).items()}

    def beside(self, folder: Path) -> Self:
        """The same channel with files that are given by relative paths found from `folder` on."""
        moved: dict[str, Any] = {}
        if self.responses:
            moved["responses"] = tuple(folder / path for path in self.responses)
        if self.noise and self.noise.files:
            files = tuple(folder / path for path in self.noise.files)
            moved["noise"] = self.noise.model_copy(update={"files": files})
        return self.model_copy(update=moved) if moved else self

    def files_digest(self) -> str:
        """The sha256 of all recordings of noise and of rooms; empty where none are given."""
        given = [files for files in (self.responses, self.noise.files if self.noise else ()) if files]
        return digest([recordings_digest(files) for files in given]) if given else ""

    def pace_of(self, seed: int) -> float:
        """How many times as fast the clip of this seed is: its length is divided by this, and labels' times too."""
        return self.value_of("speed", seed) * self.value_of("tempo", seed)

    def value_of(self, name: str, seed: int) -> float:
        """An option that may be a range, for the clip of this seed."""
        return draw(getattr(self, name), seed, name)

    def _files(self, seed: int) -> dict[str, Path]:
        response = self.response_of(seed)
        noise = self.noise.file_of(_noise_seed(seed)) if self.noise else None
        return {name: file for name, file in (("response", response), ("noise", noise)) if file}

    def response_of(self, seed: int) -> Path | None:
        """The recorded impulse response of the clip of this seed; None where none is given."""
        files = find_recordings(self.responses)
        return files[derive(seed, "response") % len(files)] if files else None


def apply_channel(samples: Samples, rate: int, options: ChannelOptions, seed: int) -> Samples:
    """The samples as they arrive: float32 (samples,) at the same rate, as many unless speed or tempo changes.

    Args:
        samples: float32 mono, nominally in [-1, 1].
        rate: Hz; at least 8000 where there is a codec.
        options: the channel.
        seed: picks the room of the pool, draws the noise, and draws from ranges and files; the same seed gives the
            same samples.

    Raises:
        ConfigError: a package that an option needs is not installed.
        DataError: a recording of noise or of a room is missing, cannot be read, or is silent.
    """
    signal = np.asarray(samples, dtype=np.float32)
    if signal.size == 0 or options == ChannelOptions():
        return signal
    voice: dict[str, Any] = {n: options.value_of(n, seed) for n in ("speed", "tempo", "pitch_semitones", "formants")}
    signal = change_voice(signal, rate, **voice)
    if options.room:
        signal = reverberate(signal, rate, options.room, derive(seed, "room"))
    elif response := options.response_of(seed):
        signal = reverberate_as(signal, rate, response)
    if options.noise:
        signal = signal + noise_for(signal, rate, options.noise, _noise_seed(seed))
    if options.band_hz:
        signal = limit_band(signal, rate, options.band_hz)
    if gain_db := options.value_of("gain_db", seed):
        signal = signal * np.float32(10 ** (gain_db / 20))
    signal = limit_peak(signal)
    if options.codec:
        kbps = None if options.codec_kbps is None else options.value_of("codec_kbps", seed)
        signal = through_codec(signal, rate, options.codec, kbps)
    return np.asarray(signal, dtype=np.float32)


def limit_band(samples: Samples, rate: int, band_hz: tuple[float, float]) -> Samples:
    """Butterworth band-pass; an upper limit at or above half the rate limits nothing."""
    from scipy.signal import butter, sosfilt  # slow to import, and most runs have no channel

    low, high = band_hz
    if high >= rate / 2:
        sections = butter(BAND_ORDER, low, "highpass", fs=rate, output="sos")
    else:
        sections = butter(BAND_ORDER, (low, high), "bandpass", fs=rate, output="sos")
    return np.asarray(sosfilt(sections, samples), dtype=np.float32)


def _noise_seed(seed: int) -> int:
    return derive(seed, "noise")
