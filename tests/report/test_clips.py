"""Clips: which are drawn, where recordings are found, and that what is embedded is the recording."""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_analogy.evaluation.results import Hypothesis, read_hypotheses
from speech_analogy.report import clips


@pytest.fixture
def decoded(made: Path) -> tuple[list[Hypothesis], list[Hypothesis]]:
    """(before, after) of the made-up run."""
    return tuple(  # type: ignore[return-value]
        read_hypotheses(made / "hypotheses" / f"{name}.jsonl") for name in ("target_synthetic", "analogy-0.75")
    )


Pair = tuple[list[Hypothesis], list[Hypothesis]]


def test_draw_is_spread_repeatable_and_independent_of_the_rows_order(decoded: Pair) -> None:
    before, after = decoded
    everyone = frozenset(row.id for row in after)
    drawn = clips.choose(before, after, everyone)
    assert Counter(choice.outcome for choice in drawn) == clips.OUTCOME_SHARES
    assert len({choice.row.id for choice in drawn}) == clips.CLIPS_SHOWN
    assert len({choice.row.cluster for choice in drawn}) == 9  # every speaker there is
    assert clips.choose(before[::-1], after[::-1], everyone) == drawn


def test_outcomes_are_those_of_the_counted_errors(decoded: Pair) -> None:
    before, after = decoded
    earlier = {row.id: row.substitutions + row.deletions + row.insertions for row in before}
    for choice in clips.choose(before, after, frozenset()):
        row = choice.row
        later = row.substitutions + row.deletions + row.insertions
        sign = (later > earlier[row.id]) - (later < earlier[row.id])
        expected = {-1: "fewer errors", 1: "more errors", 0: "as many errors" if later else "right in both"}
        assert choice.outcome == expected[sign]


def test_recordings_that_are_there_are_preferred(decoded: Pair) -> None:
    before, after = decoded
    drawn = {choice.row.id for choice in clips.choose(before, after, frozenset())}
    audible = frozenset(row.id for row in after if row.id not in drawn)
    again = clips.choose(before, after, audible)
    left = Counter(clips.outcome(*pair) for pair in zip(before, after, strict=True) if pair[0].id in audible)
    drawn_now = Counter(choice.outcome for choice in again if choice.row.id in audible)
    assert drawn_now == {name: min(share, left[name]) for name, share in clips.OUTCOME_SHARES.items()}


def test_scarce_outcomes_leave_room_for_others_and_a_small_test_set_gives_what_it_has(decoded: Pair) -> None:
    before, after = decoded
    same = clips.choose(after, after, frozenset())
    assert len(same) == clips.CLIPS_SHOWN
    assert {choice.outcome for choice in same} == {"as many errors", "right in both"}
    assert len(clips.choose(before[:3], after, frozenset())) == 3
    assert clips.choose([], after, frozenset()) == []


def test_locate(tmp_path: Path) -> None:
    recording = tmp_path / "STAGE-1" / "clips" / "a.flac"
    recording.parent.mkdir(parents=True)
    recording.touch()
    assert clips.locate("STAGE-1/clips/a.flac", tmp_path) == recording
    assert clips.locate(str(recording), tmp_path / "elsewhere") == recording
    assert clips.locate("/old/place/STAGE-1/clips/a.flac", tmp_path) == recording
    assert clips.locate("STAGE-1/clips/b.flac", tmp_path) is None
    assert clips.locate("", tmp_path) is None


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (8_000, 1), (44_100, 2)])
def test_embedded_recording_is_the_tone_it_was(tmp_path: Path, rate: int, channels: int) -> None:
    time = np.arange(2 * rate) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "a.wav", np.stack([tone] * channels, axis=1), rate)
    address = clips.embed(tmp_path / "a.wav")
    assert address is not None
    head, _, body = address.partition(",")
    assert head == "data:audio/ogg;base64"
    packed = base64.b64decode(body)
    assert len(packed) < 16_000  # bytes for 2 s
    samples, rate = soundfile.read(io.BytesIO(packed))
    assert len(samples) / rate == pytest.approx(2.0, abs=0.05)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()] == pytest.approx(440, abs=1)


def test_long_recordings_are_cut_and_empty_or_broken_ones_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(8_000 * 60), 8_000)
    address = clips.embed(tmp_path / "long.wav")
    assert address is not None
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert len(samples) / rate == pytest.approx(clips.CLIP_LONGEST_S, abs=0.05)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8_000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    assert clips.embed(tmp_path / "empty.wav") is None
    assert clips.embed(tmp_path / "broken.wav") is None
    assert clips.embed(tmp_path / "missing.wav") is None
