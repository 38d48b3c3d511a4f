"""Encoding: the same samples give the same bytes, and nothing is clipped."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from data_synth.audio.encode import Storage, encode, resample

RATE = 16_000


def voice(seconds: float = 1.3) -> np.ndarray:
    generator = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 220 * time) + 0.01 * generator.standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize("storage", ["flac", "opus"])
def test_encoding_is_reproducible_and_keeps_the_length(storage: Storage) -> None:
    samples = voice()
    first, second = encode(samples, RATE, storage), encode(samples, RATE, storage)
    assert first == second
    decoded, rate = soundfile.read(io.BytesIO(first), dtype="float32")
    assert rate == RATE
    assert decoded.shape == samples.shape
    assert np.corrcoef(decoded, samples)[0, 1] > 0.95


def test_flac_is_exact_to_16_bits() -> None:
    decoded, _ = soundfile.read(io.BytesIO(encode(voice(), RATE, "flac")), dtype="float32")
    assert np.abs(decoded - voice()).max() <= 1 / 2**15


def test_opus_survives_the_change_of_its_serial_number() -> None:
    """The pages' checksums are right: what libsndfile wrote with another serial decodes to the same samples."""
    plain = io.BytesIO()
    soundfile.write(plain, voice(), RATE, format="OGG", subtype="OPUS")
    ours = encode(voice(), RATE, "opus")
    assert ours != plain.getvalue()
    assert len(ours) == len(plain.getvalue())
    theirs, _ = soundfile.read(io.BytesIO(plain.getvalue()))
    decoded, _ = soundfile.read(io.BytesIO(ours))
    np.testing.assert_array_equal(decoded, theirs)


def test_resampling_keeps_a_tone_and_its_length() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000).astype(np.float32)
    heard = resample(tone.astype(np.float32), 24_000, RATE)
    assert len(heard) == RATE
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 440
    assert np.abs(heard[1000:-1000]).max() == pytest.approx(0.5, abs=0.01)


def test_what_is_too_loud_is_scaled_as_a_whole() -> None:
    loud = (voice() * 10).astype(np.float32)
    heard = resample(loud, RATE, RATE)
    assert np.abs(heard).max() == pytest.approx(0.99)
    assert np.corrcoef(heard, loud)[0, 1] > 0.999999
