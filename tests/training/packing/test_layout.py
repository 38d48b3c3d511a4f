"""Windows of 30 s: every utterance whole in one of them, nothing overlaps, and what is written is what is there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet, MonoCut, SupervisionSegment
from lhotse.testing.dummies import dummy_recording

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.read import read_corpus
from speech_analogy.training.packing.layout import (
    CUT_AT_LEAST_S,
    FIRST_STAMP_AT_MOST_S,
    MARGIN_S,
    PAUSE_S,
    Window30,
    heard,
    lay_out,
    spoken_span,
    unheard_text,
)
from tests.conftest import RATE_HZ

MOST_TOKENS = 445


def _cuts(durations: Sequence[float]) -> list[MonoCut]:
    return [
        MonoCut(
            f"c{number}", 0.0, duration, 0, recording=dummy_recording(number, duration=duration),
            supervisions=[SupervisionSegment(f"c{number}", f"c{number}", 0.0, duration, text=f"text {number}")],
        )
        for number, duration in enumerate(durations)
    ]  # fmt: skip


def _tokens(text: str) -> int:
    return len(text.split()) + 2


def _layouts(durations: Sequence[float], seed: str) -> list[Window30]:
    return lay_out(_cuts(durations), "packed", seed, _tokens, MOST_TOKENS)


@given(st.lists(st.floats(0.3, 30.0), min_size=1, max_size=24), st.integers(0, 50))
def test_every_utterance_is_whole_in_one_window(durations: list[float], seed: int) -> None:
    windows = _layouts(durations, str(seed))
    whole = [placed.cut.id for window in windows for placed in window.placed if placed.whole]
    assert sorted(whole) == sorted(f"c{number}" for number in range(len(durations)))
    for window in windows:
        assert window.placed[0].start_s == 0
        assert window.end_s <= 30 + 1e-9
        for before, after in pairwise(window.placed):
            pause = after.start_s - before.start_s - before.shown_s
            assert PAUSE_S[0] - 1e-9 <= pause <= PAUSE_S[1] + 1e-9


@given(st.lists(st.floats(4.0, 12.0), min_size=8, max_size=24), st.integers(0, 50))
def test_one_that_is_cut_off_comes_last_is_stamped_and_comes_first_next(durations: list[float], seed: int) -> None:
    windows = _layouts(durations, str(seed))
    for window, after in pairwise(windows):
        for placed in window.placed:
            if not placed.whole:
                assert window.timed
                assert placed is window.placed[-1]
                assert placed.start_s + placed.shown_s == pytest.approx(30)
                assert placed.shown_s >= CUT_AT_LEAST_S
                assert after.placed[0].cut.id == placed.cut.id
                assert unheard_text(window).segments[-1].end_s is None
    assert all(placed.whole for placed in windows[-1].placed)


def test_some_are_cut_off_and_about_half_are_timed() -> None:
    windows = [window for seed in range(40) for window in _layouts([6.0, 7.0, 8.0] * 5, str(seed))]
    assert any(not window.placed[-1].whole for window in windows)
    assert 0.4 < sum(window.timed for window in windows) / len(windows) < 0.6


def test_it_depends_on_the_seed_and_on_nothing_else() -> None:
    def order(seed: str) -> list[list[str]]:
        return [[placed.cut.id for placed in window.placed] for window in _layouts([2.0] * 16, seed)]

    assert order("1") == order("1")
    assert order("1") != order("2")


def test_padded_is_one_utterance_a_window_in_their_order() -> None:
    windows = lay_out(_cuts([1.0, 30.0, 2.0]), "padded", "0", _tokens, MOST_TOKENS)
    assert [[placed.cut.id for placed in window.placed] for window in windows] == [["c0"], ["c1"], ["c2"]]


def test_a_label_has_no_more_tokens_than_it_may() -> None:
    windows = lay_out(_cuts([1.0] * 16), "packed", "0", _tokens, 11)
    for window in windows:
        assert sum(_tokens(placed.cut.supervisions[0].text) for placed in window.placed) <= 11
    assert sorted(placed.cut.id for window in windows for placed in window.placed) == sorted(f"c{n}" for n in range(16))


def test_samples_and_stamps_are_where_the_layout_says(noises: CutSet) -> None:
    cuts = list(noises)
    windows = lay_out(cuts, "packed", "0", _tokens, MOST_TOKENS)
    for window in windows:
        waveform, text = heard(window)
        assert len(waveform) / RATE_HZ == pytest.approx(window.end_s, abs=1e-3)
        assert len(text.segments) == len(window.placed)
        assert text.timed == window.timed
        for placed, segment in zip(window.placed, text.segments, strict=True):
            start = round(placed.start_s * RATE_HZ)
            speech = load_audio(placed.cut, RATE_HZ)
            assert np.array_equal(waveform[start : start + len(speech)], speech)
            assert segment.end_s is not None
            assert placed.start_s <= segment.start_s < segment.end_s <= placed.start_s + placed.cut.duration
            assert segment.text == placed.cut.supervisions[0].text
        for before, after in pairwise(window.placed):
            stop = round((before.start_s + before.cut.duration) * RATE_HZ) + 1
            between = waveform[stop : round(after.start_s * RATE_HZ)]
            assert 0 < np.sqrt(np.mean(between**2)) < np.sqrt(np.mean(load_audio(before.cut, RATE_HZ) ** 2)) * 1.2


def test_what_is_written_unheard_has_the_same_segments(noises: CutSet) -> None:
    for window in lay_out(list(noises), "packed", "1", _tokens, MOST_TOKENS):
        found, expected = unheard_text(window), heard(window)[1]
        assert [(s.text, s.end_s is None) for s in found.segments] == [
            (s.text, s.end_s is None) for s in expected.segments
        ]


def test_a_first_stamp_is_one_that_decoders_allow(tmp_path: Path) -> None:
    """Their first time stamp is at most at 1 s, however late the speech begins."""
    quiet_then_loud = np.concatenate([np.zeros(3 * RATE_HZ), np.full(2 * RATE_HZ, 0.5)]).astype(np.float32)
    soundfile.write(tmp_path / "late.wav", quiet_then_loud, RATE_HZ)
    (tmp_path / "late.txt").write_text("late")
    windows = lay_out(list(read_corpus("folder", tmp_path).cuts), "padded", "0", _tokens, MOST_TOKENS)
    assert spoken_span(quiet_then_loud)[0] > FIRST_STAMP_AT_MOST_S
    assert heard(windows[0])[1].segments[0].start_s <= FIRST_STAMP_AT_MOST_S


def test_silence_at_the_edges_is_not_speech() -> None:
    tone = np.sin(np.arange(RATE_HZ) * 0.3).astype(np.float32)
    silence = np.full(RATE_HZ, 1e-4, dtype=np.float32)
    start, end = spoken_span(np.concatenate([silence, tone, silence]))
    assert start == pytest.approx(1.0 - MARGIN_S, abs=0.021)
    assert end == pytest.approx(2.0 + MARGIN_S, abs=0.021)


@pytest.mark.parametrize("samples", [np.zeros(RATE_HZ, np.float32), np.zeros(10, np.float32), np.zeros(0, np.float32)])
def test_of_silence_the_span_is_the_whole(samples: np.ndarray) -> None:
    assert spoken_span(samples) == (0.0, len(samples) / RATE_HZ)
