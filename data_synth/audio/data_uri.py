"""Clips as data URIs: small mono Opus, the same bytes for the same clip, within a size that is all the page's."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from data_synth.audio.encode import encode, resample

EMBEDDED_RATE_HZ = 16_000
EMBEDDED_S = 20.0  # of a clip that is embedded; a longer one is cut
AUDIO_BYTES = 6_000_000  # of all clips of a page, as base64


@dataclass
class Embedder:
    """Embeds clips until `left` bytes are used up; `refused` counts those for which there was no room."""

    left: int = AUDIO_BYTES
    refused: int = 0

    def embed(self, file: Path | BytesIO) -> str | None:
        """A recording as an Ogg Opus `data:` URI; None where it cannot be read or does not fit any more."""
        try:
            with soundfile.SoundFile(file) as recording:
                rate = recording.samplerate
                samples = recording.read(int(EMBEDDED_S * rate), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError):
            return None
        mono = np.nan_to_num(samples.mean(axis=1))  # (samples,)
        if not mono.size:
            return None
        packed = base64.b64encode(encode(resample(mono, rate, EMBEDDED_RATE_HZ), EMBEDDED_RATE_HZ, "opus")).decode(
            "ascii"
        )
        if len(packed) > self.left:
            self.refused += 1
            return None
        self.left -= len(packed)
        return f"data:audio/ogg;base64,{packed}"
