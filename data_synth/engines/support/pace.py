"""Speed for engines that have none of their own: the finished clip is resampled."""

from __future__ import annotations

import numpy as np
import soxr

from data_synth.audio.samples import Samples


def at_speed(samples: Samples, rate: int, speed: float) -> Samples:
    """Samples (samples,) played `speed` times as fast; the pitch follows, as in Kaldi's speed perturbation."""
    if speed == 1.0 or not samples.size:
        return samples
    return np.asarray(soxr.resample(samples, rate * speed, rate), dtype=np.float32)
