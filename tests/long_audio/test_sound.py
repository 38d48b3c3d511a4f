"""Any format in, 16 kHz mono out, in pieces; what is no audio is one line."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.audio.frame import AudioFrame

from speech_analogy.errors import DataError
from speech_analogy.long_audio.sound import duration_s, sound_blocks

RATE_HZ, SECONDS, PITCH_HZ = 48_000, 9.0, 440.0
CODECS = {".m4a": "aac", ".aac": "aac", ".mp4": "aac", ".webm": "libopus", ".mp3": "libmp3lame", ".ogg": "libopus"}


def tone(rate: int = RATE_HZ, seconds: float = SECONDS) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * PITCH_HZ * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def encoded(path: Path, wave: np.ndarray, codec: str, rate: int = RATE_HZ) -> Path:
    """The wave on both channels, through FFmpeg."""
    return encoded_in_stereo(path, np.repeat(wave[None], 2, axis=0), codec, rate)


def encoded_in_stereo(path: Path, wave: np.ndarray, codec: str, rate: int = RATE_HZ) -> Path:
    """Two channels, (2, samples), through FFmpeg."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(wave), format="fltp", layout="stereo")
        frame.sample_rate = rate
        fifo = av.AudioFifo()
        fifo.write(av.AudioResampler(format=stream.format, layout="stereo", rate=rate).resample(frame)[0])
        while (piece := fifo.read(stream.frame_size or 1024, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("suffix", "codec"), CODECS.items())
def test_every_format_gives_its_tone(tmp_path: Path, suffix: str, codec: str) -> None:
    path = encoded(tmp_path / f"tone{suffix}", tone(), codec)
    blocks = list(sound_blocks(path))
    heard = np.concatenate(blocks)
    assert len(heard) / 16_000 == pytest.approx(SECONDS, abs=0.15)
    assert len(blocks) > 1
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * 16_000 / len(heard) == pytest.approx(PITCH_HZ, abs=1)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert duration_s(path) == pytest.approx(SECONDS, abs=0.3) or suffix == ".aac"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_lossless_file_is_its_samples_however_it_is_read(tmp_path: Path, suffix: str) -> None:
    wave = tone(16_000)
    soundfile.write(tmp_path / f"a{suffix}", wave, 16_000, subtype="PCM_16")
    expected, _ = soundfile.read(tmp_path / f"a{suffix}", dtype="float32")
    assert np.array_equal(np.concatenate(list(sound_blocks(tmp_path / f"a{suffix}"))), expected)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16_000, 1.0), np.zeros(16_000, np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(np.concatenate(list(sound_blocks(tmp_path / "a.wav"))), left / 2, atol=1e-6)


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
def test_one_channel_can_be_named(tmp_path: Path, suffix: str) -> None:
    """Speech in one of them alone: the other one is silence, and their mean half of it."""
    path = tmp_path / f"both{suffix}"
    wave = np.stack([tone(), np.zeros_like(tone())])
    if suffix == ".wav":
        soundfile.write(path, wave.T, RATE_HZ)
    else:
        encoded_in_stereo(path, wave, "aac")

    def level(channel: int | None) -> float:
        return float(np.sqrt(np.mean(np.concatenate(list(sound_blocks(path, channel))) ** 2)))

    assert level(0) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert level(1) < 1e-3
    assert level(None) == pytest.approx(level(0) / 2, rel=0.05)
    with pytest.raises(DataError, match=r"no channel 2 .*2 channels"):
        list(sound_blocks(path, 2))


def test_a_wrong_suffix_is_read_all_the_same(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.m4a", tone(), "aac").rename(tmp_path / "tone.wav")
    assert sum(map(len, sound_blocks(path))) / 16_000 == pytest.approx(SECONDS, abs=0.15)


def test_a_film_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"film\.mp4: the file has no audio"):
        list(sound_blocks(path))


@pytest.mark.parametrize("suffix", [".wav", ".m4a", ".ogg", ".nothing"])
@pytest.mark.parametrize("content", [b"", b"no audio at all" * 100])
def test_what_is_no_audio_is_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    for read in (lambda: list(sound_blocks(path)), lambda: duration_s(path)):
        with pytest.raises(DataError, match="cannot be decoded") as caught:
            read()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(100, np.nan, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match="no numbers"):
        list(sound_blocks(tmp_path / "a.wav"))
