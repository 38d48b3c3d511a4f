"""Clips on disk: resampled, encoded to the same bytes for the same samples, written whole or not at all."""

from __future__ import annotations

import io
from typing import Literal, TypeAlias

import numpy as np
import soundfile
import soxr

from data_synth.audio.ogg import with_fixed_serial
from data_synth.audio.samples import Samples

Storage: TypeAlias = Literal["flac", "opus"]

PEAK = 0.99  # of full scale: a clip that is louder is scaled down, not cut off

_FORMATS: dict[Storage, tuple[str, str]] = {"flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS")}


def resample(samples: Samples, rate: int, target_rate: int) -> Samples:
    """Samples (samples,) at `target_rate` Hz, their peak kept below full scale."""
    if rate != target_rate:
        samples = soxr.resample(samples, rate, target_rate)
    return limit_peak(samples)


def limit_peak(samples: Samples) -> Samples:
    """Samples (samples,) scaled down, as a whole, where their peak is above 0.99 of full scale."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > PEAK:
        samples = samples * np.float32(PEAK / peak)
    return np.ascontiguousarray(samples, dtype=np.float32)


def encode(samples: Samples, rate: int, storage: Storage) -> bytes:
    """Samples (samples,) as a file's bytes: FLAC (16 bit) or Ogg Opus (lossy, about 8 times smaller)."""
    container, subtype = _FORMATS[storage]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    encoded = buffer.getvalue()
    return with_fixed_serial(encoded) if container == "OGG" else encoded
