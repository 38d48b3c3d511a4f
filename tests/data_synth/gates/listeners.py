"""Recognisers and scorers that the tests inject by name; each is named for what it does."""

from __future__ import annotations

import time

import numpy as np

from data_synth.audio.samples import Samples


def hears_nothing(samples: Samples, rate: int) -> str:
    return ""


def hears(samples: Samples, rate: int, text: str = "play some jazz") -> str:
    return text


def raises(samples: Samples, rate: int) -> str:
    raise RuntimeError("no ears")


def gives_a_number(samples: Samples, rate: int) -> str:
    return 7  # type: ignore[return-value]


class Listener:
    """Says what it was told to; counts how often it was made and asked."""

    made = 0
    asked = 0

    def __init__(self, text: str = "play some jazz", weights: str = "pip:whisper-tiny.en", name: str = "other") -> None:
        type(self).made += 1
        self.text, self.identities = text, (name, f"sha256:{weights}")

    def __call__(self, samples: Samples, rate: int) -> str:
        type(self).asked += 1
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        return self.text


class Unmade:
    def __init__(self) -> None:
        raise OSError("the weights are not here")


def loudness(samples: Samples, rate: int, offset: float = 0.0) -> float:
    """A stand-in for a learned score: from 1 (silent) to 5 (full scale), by RMS."""
    return 1.0 + 4.0 * float(np.sqrt(np.mean(np.square(samples)))) + offset


def not_a_number(samples: Samples, rate: int) -> float:
    return float("nan")


def scores_nothing(samples: Samples, rate: int) -> float:
    raise KeyError(3)


def slow(samples: Samples, rate: int) -> float:
    time.sleep(0.001)
    return 3.0


NOT_CALLABLE = 3
