"""Loading audio: formats, spans, rates, channels, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import MonoCut, MultiCut

from speech_analogy.corpora.audio import decoded_samples, load_audio, recording_of
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.read import read_corpus
from speech_analogy.errors import DataError
from tests.corpora.sounds import RATE_HZ, SHARED, tone, write_by_ffmpeg, write_tone


def cut_of(path: Path, start: float = 0.0, duration: float | None = None, channel: int = 0) -> MonoCut:
    recording = recording_of(path, "r")
    return MonoCut("c", start, duration or recording.duration - start, channel, recording=recording)


@pytest.mark.parametrize(("suffix", "tolerance"), [(".wav", 1e-4), (".flac", 1e-4), (".opus", 0.1)])
def test_formats_give_the_samples_back(tmp_path: Path, suffix: str, tolerance: float) -> None:
    path = write_tone(tmp_path / f"a{suffix}")
    samples = load_audio(cut_of(path))
    assert samples.dtype == np.float32
    assert samples.shape == (RATE_HZ // 2,)
    np.testing.assert_allclose(samples[400:-400], tone()[400:-400], atol=tolerance)  # an edge is not a steady sine
    assert cut_of(path).load_audio().shape == (1, RATE_HZ // 2)  # Lhotse's own way, without torchaudio


def test_a_span_is_the_same_as_slicing(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", 1.0)
    whole, _ = soundfile.read(path, dtype="float32")
    span = load_audio(cut_of(path, start=0.25, duration=0.5))
    np.testing.assert_array_equal(span, whole[RATE_HZ // 4 : 3 * RATE_HZ // 4])


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_resampling_keeps_pitch_and_duration(tmp_path: Path, rate: int) -> None:
    samples = load_audio(cut_of(write_tone(tmp_path / "a.wav", 1.0, rate, hertz=1000)))
    assert abs(len(samples) - RATE_HZ) <= 1
    assert np.argmax(np.abs(np.fft.rfft(samples, RATE_HZ))) == 1000  # 1 Hz a bin


def test_channels(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", channels=2)
    both, _ = soundfile.read(path, dtype="float32")
    for channel in (0, 1):
        np.testing.assert_array_equal(load_audio(cut_of(path, channel=channel)), both[:, channel])
    recording = recording_of(path, "r")
    stereo = MultiCut("c", 0, recording.duration, [0, 1], recording=recording)
    np.testing.assert_allclose(load_audio(stereo), both.mean(axis=1), atol=1e-7)


def test_altered_cuts_go_through_lhotse(tmp_path: Path) -> None:
    cut = cut_of(write_tone(tmp_path / "a.wav", 1.0))
    padded = cut.pad(duration=1.5)
    samples = load_audio(padded)
    np.testing.assert_allclose(samples[:RATE_HZ], load_audio(cut), atol=1e-6)
    assert not samples[RATE_HZ:].any()
    assert len(samples) == 24_000


def test_missing_broken_and_shortened_files_are_named(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.flac", 1.0)
    cut = cut_of(path)
    write_tone(path, 0.5)
    with pytest.raises(DataError, match=r"a\.flac: the audio is shorter than its cut.*found '0\.500 s'"):
        load_audio(cut)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.flac: the audio cannot be decoded"):
        load_audio(cut)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.flac: the audio file is missing"):
        load_audio(cut)
    with pytest.raises(DataError, match="missing"):
        recording_of(path, "r")


def test_decoding_finds_what_a_header_hides(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ * 2)
    soundfile.write(path, noise, RATE_HZ)
    assert decoded_samples(path) == RATE_HZ * 2
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert recording_of(path, "r").num_samples == RATE_HZ * 2
    with suppress(DataError):  # some versions of libsndfile say that decoding fails, some return less
        assert decoded_samples(path) < RATE_HZ * 2


def test_nothing_here_imports_torchaudio() -> None:
    code = "import sys, speech_analogy.corpora; sys.exit('torchaudio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/speechocean762")
def test_opus_of_speechocean762() -> None:
    path = SHARED / "speechocean762/audio/0001/000010011.opus"
    cut = cut_of(path)
    samples = load_audio(cut)
    assert samples.shape == (41_280,)
    assert 0.01 < np.abs(samples).max() <= 1
    np.testing.assert_array_equal(samples, cut.load_audio()[0])


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".webm"])
def test_what_telephones_and_browsers_record(tmp_path: Path, suffix: str) -> None:
    """A folder of it is a corpus; spans, several channels and mixed cuts are heard as of any other file."""
    both = tone(1.5, 48_000, channels=2)
    write_by_ffmpeg(tmp_path / f"both{suffix}", both)
    write_by_ffmpeg(tmp_path / f"one{suffix}", both[:, 0])
    for name in ("both", "one"):
        (tmp_path / f"{name}.txt").write_text("a word")
    reading = read_corpus("folder", tmp_path, progress=False)
    assert reading.problems == []
    stereo, mono = sorted(reading.cuts, key=lambda cut: cut.id)
    assert (stereo.num_channels, mono.num_channels, mono.sampling_rate) == (2, 1, 48_000)
    whole = load_audio(mono)
    assert len(whole) / 16_000 == pytest.approx(1.5, abs=0.06)
    spectrum = np.abs(np.fft.rfft(whole))
    assert spectrum.argmax() * 16_000 / len(whole) == pytest.approx(440, abs=2)
    span = load_audio(mono.truncate(offset=0.5, duration=0.5))
    np.testing.assert_allclose(span[800:-800], whole[8800:15200], atol=0.02)
    assert np.abs(load_audio(mono.pad(2.0))).max() > 0.3
    [left] = read_corpus("folder", tmp_path, progress=False, channel=0).cuts.filter(lambda cut: cut.id == stereo.id)
    assert np.abs(load_audio(left) - load_audio(stereo)).max() > 0.1
    assert len(cuts_of(tmp_path)) == 2
    (tmp_path / f"one{suffix}").write_bytes((tmp_path / f"both{suffix}").read_bytes()[:300])
    with pytest.raises(DataError, match=rf"one\{suffix}"):
        load_audio(mono)
