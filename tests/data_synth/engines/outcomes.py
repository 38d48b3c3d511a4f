"""Outcomes of engines, compared."""

from __future__ import annotations

import numpy as np

from data_synth.engines import Failure, Waveform


def same(one: Waveform | Failure, other: Waveform | Failure) -> bool:
    if isinstance(one, Waveform) and isinstance(other, Waveform):
        return np.array_equal(one.samples, other.samples)
    return one == other
