"""Each gate fires on a waveform made for it, alone, and lets the good one through."""

from __future__ import annotations

import numpy as np
import pytest

from data_synth.gates.judge import GateOptions, Reading, find_silence, is_speakable, judge
from data_synth.gates.quality import QualityOptions
from data_synth.gates.spoken_length import spoken_characters

RATE = 16_000
TEXT = "twelve letters"  # 13 letters, and 4 of grace: 17 characters
GOOD_S = 1.2


def tone(seconds: float, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def test_a_good_clip_passes_and_its_numbers_are_right() -> None:
    verdict = judge(np.concatenate([silence(0.3), tone(GOOD_S), silence(0.4)]), RATE, TEXT, GateOptions())
    assert verdict.reason is None
    numbers = {name: reading.value for name, reading in verdict.readings.items()}
    assert numbers["leading_silence_s"] == pytest.approx(0.3, abs=0.011)
    assert numbers["trailing_silence_s"] == pytest.approx(0.4, abs=0.011)
    assert numbers["inner_silence_s"] == 0.0
    assert numbers["clipped_share"] == 0.0
    assert numbers["seconds_per_character"] == pytest.approx(GOOD_S / 17, rel=0.02)
    assert numbers["level_db"] == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.1)
    assert len(verdict.samples) / RATE == pytest.approx(GOOD_S + 0.2, abs=0.021)  # 0.1 s left at either end


@pytest.mark.parametrize(
    ("samples", "gate"),
    [
        (tone(17 * 0.02 * 0.9), "seconds_per_character"),
        (tone(17 * 0.25 * 1.1), "seconds_per_character"),
        (np.concatenate([silence(2.0), tone(GOOD_S)]), "leading_silence_s"),
        (np.concatenate([tone(GOOD_S), silence(2.0)]), "trailing_silence_s"),
        (np.concatenate([tone(0.6), silence(1.2), tone(0.6)]), "inner_silence_s"),
        (np.clip(tone(GOOD_S, 5.0), -1, 1), "clipped_share"),
        (tone(GOOD_S, 0.002), "level_db"),
        (silence(GOOD_S), "level_db"),
        (tone(0.0), "samples"),
        (np.where(np.arange(RATE) == 7, np.nan, tone(1.0)).astype(np.float32), "not_finite"),
        (np.where(np.arange(RATE) == 7, np.inf, tone(1.0)).astype(np.float32), "not_finite"),
    ],
)
def test_each_gate_fires(samples: np.ndarray, gate: str) -> None:
    verdict = judge(samples, RATE, TEXT, GateOptions())
    assert verdict.reason is not None
    assert verdict.reason.startswith(gate)
    assert not verdict.readings[gate].passed


def test_a_clip_longer_than_a_recogniser_hears_is_rejected() -> None:
    """66 s for a long text are well spoken, and yet no recogniser takes them: fine-tuning would refuse them."""
    text = "twelve letters " * 60
    spoken = judge(tone(66.0), RATE, text, GateOptions())
    assert spoken.readings["seconds_per_character"].passed
    assert spoken.reason == "duration_s 66 is above 30.0"
    assert judge(tone(66.0), RATE, text, GateOptions(max_duration_s=None)).reason is None
    assert judge(tone(29.9), RATE, text, GateOptions()).reason is None
    untrimmed = np.concatenate([silence(0.5), tone(29.8)])
    assert judge(untrimmed, RATE, text, GateOptions()).reason is None, "what counts is the clip that is stored"
    assert judge(untrimmed, RATE, text, GateOptions(trim=False)).reason == "duration_s 30.3 is above 30.0"


def test_earlier_folders_keep_their_gates() -> None:
    assert "max_duration_s" not in GateOptions().model_dump(mode="json")


def test_without_gates_only_what_cannot_be_stored_is_rejected() -> None:
    bad = np.concatenate([silence(9.0), np.clip(tone(0.05, 9), -1, 1)])
    verdict = judge(bad, RATE, TEXT, None)
    assert verdict.reason is None
    assert verdict.samples is bad
    assert judge(tone(0), RATE, TEXT, None).reason is not None
    assert judge(np.full(9, np.nan, np.float32), RATE, TEXT, None).reason is not None


def test_trimming_can_be_switched_off() -> None:
    samples = np.concatenate([silence(0.5), tone(GOOD_S), silence(0.5)])
    verdict = judge(samples, RATE, TEXT, GateOptions(trim=False))
    assert verdict.reason is None
    assert len(verdict.samples) == len(samples)


def test_silence_is_relative_to_the_loudest_frame() -> None:
    samples = np.concatenate([tone(0.2, 0.3 * 10 ** (-40 / 20)), tone(0.5), tone(0.2, 0.3 * 10 ** (-60 / 20))])
    found = find_silence(samples, RATE, -50.0)
    assert found.leading_s == 0.0
    assert found.trailing_s == pytest.approx(0.2, abs=0.011)
    assert find_silence(samples, RATE, -30.0).leading_s == pytest.approx(0.2, abs=0.011)


@pytest.mark.parametrize(
    ("text", "count"), [("it's 3", 7), ("", 0), ("...", 0), ("Zoë", 3), ("a-b c", 3), ("1984", 16)]
)
def test_spoken_characters(text: str, count: int) -> None:
    assert spoken_characters(text) == count
    assert is_speakable(text) == (count > 0)


def test_thresholds_are_inclusive_and_what_is_unmeasured_fails() -> None:
    assert Reading(1.0, minimum=1.0, maximum=1.0).passed
    assert not Reading(None).passed


@pytest.mark.parametrize(
    ("text", "language", "letters"),
    [
        ("Grüße", "de", 5 * 0.89),
        ("Grüße", "de-AT", 5 * 0.89),
        ("Grüße", "DE_at", 5 * 0.89),
        ("hello", "tlh", 5.0),  # not measured: as English
        ("hello", None, 5.0),
        ("你好", "zh", 8.0),
        ("play 你好", "en", 4 + 8.0),  # by script, whatever the language
        ("カナ", "ja", 4.8),
        ("3", "zh", 4.0),
        ("3", "de", 4.0),
    ],
)
def test_characters_are_counted_in_letters_of_english(text: str, language: str | None, letters: float) -> None:
    assert spoken_characters(text, language) == pytest.approx(letters)


def test_one_pair_of_thresholds_holds_for_every_language() -> None:
    """A syllable of Mandarin takes about 0.2 s: ten are a good clip in Chinese, and a slow one of ten letters."""
    chinese = GateOptions().for_language("zh-CN")
    assert judge(tone(2.0), RATE, "今天天气怎么样请告诉", chinese).reason is None
    too_short = judge(tone(0.3), RATE, "今天天气怎么样请告诉", chinese)
    assert (too_short.reason or "").startswith("seconds_per_character")
    assert judge(tone(0.3), RATE, "how is it i", GateOptions()).reason is None


def test_gates_take_the_language_of_the_run_unless_they_name_their_own() -> None:
    assert GateOptions().for_language("fr").language == "fr"
    assert GateOptions(language="de").for_language("fr").language == "de"


def test_a_reading_that_could_not_be_measured_is_recorded_as_such() -> None:
    scorer = "tests.data_synth.gates.listeners:scores_nothing"
    verdict = judge(tone(GOOD_S), RATE, TEXT, GateOptions(quality=QualityOptions(metric=scorer, minimum=1.0)))
    assert verdict.reason == "quality could not be measured: KeyError: 3"
    assert verdict.readings["quality"].value is None
