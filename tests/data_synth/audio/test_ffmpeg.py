"""What FFmpeg decodes is all of it, and what it cannot is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_synth.audio import ffmpeg
from speech_analogy.errors import DataError
from tests.corpora.sounds import tone, write_by_ffmpeg

RATE_HZ, SECONDS = 48_000, 1.5


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".aac", ".webm"])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_samples(tmp_path: Path, suffix: str, channels: int) -> None:
    path = write_by_ffmpeg(tmp_path / f"a{suffix}", tone(SECONDS, RATE_HZ, channels=channels), RATE_HZ)
    samples, rate = ffmpeg.decode(path)
    assert (rate, samples.shape[1], samples.dtype) == (RATE_HZ, channels, np.float32)
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.06)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(samples[:, -1]))
    assert spectrum.argmax() * rate / len(samples) == pytest.approx(440 * channels, abs=1)


def test_what_cannot_be_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="missing"):
        ffmpeg.decode(tmp_path / "a.m4a")
    (tmp_path / "a.m4a").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"a\.m4a: the audio cannot be decoded"):
        ffmpeg.decode(tmp_path / "a.m4a")
    monkeypatch.setattr(ffmpeg, "LONGEST_DECODED_S", 1.0)
    with pytest.raises(DataError, match=r"b\.m4a: .*must last 1 s at most; convert it"):
        ffmpeg.decode(write_by_ffmpeg(tmp_path / "b.m4a", tone(SECONDS, RATE_HZ)))
