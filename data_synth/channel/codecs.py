"""Codecs that speech passes through: coded and decoded again by libsndfile, at the same length."""

from __future__ import annotations

import io
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import soundfile
import soxr

from data_synth.audio.samples import Samples

Codec: TypeAlias = Literal["gsm", "mulaw", "alaw", "opus", "mp3"]

TELEPHONE_RATE, WIDE_RATE = 8_000, 16_000  # Hz
MP3_DELAY = 1105  # samples: 576 of LAME's encoder, 529 of a decoder; decoders cut them where LAME's tag says so


@dataclass(frozen=True)
class Coder:
    """One codec as libsndfile knows it. `kbps`: lowest and highest bit rate, or None where it is fixed.

    libsndfile takes bit rates as a compression level, 0 for `best_kbps` to 1 for `least_kbps`.
    """

    rate: int
    container: str
    subtype: str
    kbps: tuple[float, float] | None = None
    least_kbps: float = 0.0
    best_kbps: float = 0.0

    def settings(self, kbps: float | None) -> dict[str, Any]:
        """The arguments of `soundfile.write` for a bit rate; none for the coder's own."""
        if kbps is None:
            return {}
        level = (self.best_kbps - kbps) / (self.best_kbps - self.least_kbps)
        mode = {"bitrate_mode": "CONSTANT"} if self.container == "MP3" else {}
        return {"compression_level": level, **mode}


CODERS = MappingProxyType[Codec, Coder](
    {
        "gsm": Coder(TELEPHONE_RATE, "WAV", "GSM610"),  # GSM 06.10 full rate, 13 kbit/s
        "mulaw": Coder(TELEPHONE_RATE, "WAV", "ULAW"),  # G.711, 64 kbit/s
        "alaw": Coder(TELEPHONE_RATE, "WAV", "ALAW"),  # G.711, 64 kbit/s
        "opus": Coder(WIDE_RATE, "OGG", "OPUS", (6.0, 256.0), 6.0, 256.0),  # RFC 6716
        "mp3": Coder(WIDE_RATE, "MP3", "MPEG_LAYER_III", (16.0, 160.0), 8.0, 160.0),  # MPEG-2 layer III, LAME
    }
)


def through_codec(samples: Samples, rate: int, codec: Codec, kbps: float | None = None) -> Samples:
    """To the codec's rate (8 kHz of telephones, else 16 kHz), coded, decoded, and back: same length (samples,).

    Args:
        samples: float32 mono.
        rate: Hz.
        codec: see `CODERS`.
        kbps: of opus and mp3, which takes the nearest of its own; None: the coder's own choice.
    """
    coder = CODERS[codec]
    narrow = soxr.resample(samples, rate, coder.rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, narrow, coder.rate, format=coder.container, subtype=coder.subtype, **coder.settings(kbps))
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    if codec == "mp3" and len(decoded) > len(narrow):  # below 40 kbit/s LAME's tag does not fit into a frame
        decoded = decoded[MP3_DELAY:]
    back = soxr.resample(decoded[: len(narrow)], coder.rate, rate)[: len(samples)]
    return np.pad(back, (0, len(samples) - len(back))).astype(np.float32)
