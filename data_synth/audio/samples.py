"""Samples in memory: float32, mono; alone, and with their rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Waveform:
    """Float32 mono `samples` of shape (samples,), nominally in [-1, 1], at `rate` Hz."""

    samples: Samples
    rate: int
