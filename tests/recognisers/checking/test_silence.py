"""What is too quiet for speech."""

from __future__ import annotations

import numpy as np
import pytest

from speech_analogy.recognisers.checking.silence import SILENCE_DBFS, is_silent, level_dbfs


def tone(dbfs: float, seconds: float = 1.0) -> np.ndarray:
    """A sine of that root mean square, a whole number of periods a frame."""
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    return (np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(2 * np.pi * 400 * time_s)).astype(np.float32)


def test_the_level_is_that_of_the_loudest_frame() -> None:
    assert level_dbfs(tone(-20)) == pytest.approx(-20, abs=0.01)
    assert level_dbfs(np.concatenate([np.zeros(16_000, np.float32), tone(-30, 0.04)])) == pytest.approx(-30, abs=0.01)


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros(100, np.float32), tone(SILENCE_DBFS - 1)])
def test_quiet_audio_is_silent(waveform: np.ndarray) -> None:
    assert is_silent(waveform)


def test_speech_at_a_distance_is_not() -> None:
    assert not is_silent(tone(SILENCE_DBFS + 1, 0.02))
