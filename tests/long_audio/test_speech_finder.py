"""Speech is found where it is, cut to what a window holds, and the same whatever the blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from speech_analogy.long_audio.speech_finder import (
    FRAME_SAMPLES,
    SileroStream,
    SpeechFinderOptions,
    SpeechSegment,
    speech_segments,
)

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Seven seconds of a synthetic voice that Silero takes for speech: float32, 16 kHz."""
    import soxr

    hibari = pytest.importorskip("hibari", reason="hibari-tts is not installed")
    voice = hibari.Hibari()
    made = voice("We call it bear, and the next stop was at the museum, where nobody spoke to him at all.", seed=0)
    samples = np.asarray(made[0] if isinstance(made, tuple) else made, np.float32).reshape(-1)
    return soxr.resample(samples, 24_000, RATE_HZ)


def silence(seconds: float) -> np.ndarray:
    return (1e-4 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def pieces(wave: np.ndarray, size: int) -> Iterator[np.ndarray]:
    yield from (wave[at : at + size] for at in range(0, len(wave), size))


def found(wave: np.ndarray, size: int = 64_000, **options: object) -> list[SpeechSegment]:
    return list(speech_segments(pieces(wave, size), SpeechFinderOptions.parse(options)))


def test_the_network_is_sileros_own(speech: np.ndarray) -> None:
    """Against the package's own front end, block by block."""
    from importlib import resources

    import torch

    threads = torch.get_num_threads()
    sequence = pytest.importorskip("silero_vad.sequence_vad")
    torch.set_num_threads(threads)
    path = str(resources.files("silero_vad.data") / "silero_vad_16k_sequence.onnx")
    whole = speech[: len(speech) // FRAME_SAMPLES * FRAME_SAMPLES]
    expected = sequence.SileroVADSequence(path).audio_forward(whole)
    stream = SileroStream()
    ours = [stream(block) for block in pieces(whole, 7 * FRAME_SAMPLES)]
    np.testing.assert_allclose(np.concatenate(ours), expected, atol=1e-5)


def test_speech_is_found_between_pauses(speech: np.ndarray) -> None:
    wave = np.concatenate([silence(5), speech, silence(4), speech, silence(3)])
    first, second = found(wave)
    lasted = len(speech) / RATE_HZ
    for segment, start in ((first, 5.0), (second, 9.0 + lasted)):
        assert segment.start_s == pytest.approx(start, abs=0.6)
        assert segment.end_s == pytest.approx(start + lasted, abs=0.8)
        at = round(segment.start_s * RATE_HZ)
        assert np.array_equal(segment.samples, wave[at : at + len(segment.samples)])


@pytest.mark.parametrize("size", [100, 512, 16_001, 1 << 20])
def test_blocks_change_nothing(speech: np.ndarray, size: int) -> None:
    wave = np.concatenate([silence(1), speech, silence(2), speech])
    ours, whole = found(wave, size), found(wave, len(wave))
    assert [(one.start_s, len(one.samples)) for one in ours] == [(one.start_s, len(one.samples)) for one in whole]
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(ours, whole, strict=True))


def test_no_segment_is_longer_than_a_window_and_none_overlap(speech: np.ndarray) -> None:
    wave = np.concatenate([speech] * 12)
    segments = found(wave, silence_s=20.0)
    assert len(segments) > 1
    assert all(len(one.samples) <= 30 * RATE_HZ for one in segments)
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in pairwise(segments))
    covered = sum(len(one.samples) for one in segments)
    assert covered >= len(wave) - RATE_HZ


def test_neighbours_are_joined_into_windows(speech: np.ndarray) -> None:
    wave = np.concatenate([np.concatenate([speech, silence(1.5)]) for _ in range(6)])
    apart, joined = found(wave), found(wave, join=True)
    assert len(joined) < len(apart) == 6
    assert all(len(one.samples) <= 30 * RATE_HZ + 1 for one in joined)
    assert joined[0].start_s == apart[0].start_s
    assert joined[-1].end_s == pytest.approx(apart[-1].end_s)


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.zeros(RATE_HZ * 5, np.float32), silence(20)])
def test_silence_has_no_segments(wave: np.ndarray) -> None:
    assert found(wave) == []
