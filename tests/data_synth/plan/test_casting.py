"""Casting is balanced, seeded, and the same in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.plan.casting import CastVoice, cast, clip_seed, voice_ranges
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.voices import Voice, find_voices
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, SynthesisError
from tests.data_synth.rows import planned

IDS = st.lists(st.text(min_size=1, max_size=6), max_size=40, unique=True)


def cast_all(*what: Any, **more: Any) -> list[list[CastVoice]]:
    return list(cast(*what, **more))


def some_voices(count: int) -> list[Voice]:
    return [Voice("engine", f"voice {number}") for number in range(count)]


@settings(deadline=None)  # a busy machine is no failure
@given(IDS, st.integers(1, 7), st.integers(1, 16), st.integers(0, 2**40))
def test_every_voice_is_used_equally_often_within_one(ids: list[str], count: int, per_text: int, seed: int) -> None:
    voices = some_voices(count)
    parts = cast_all(ids, voices, per_text, seed)
    for upto in range(1, len(ids) + 1):
        used = Counter(part.voice for its_parts in parts[:upto] for part in its_parts)
        counts = [used[voice] for voice in voices]
        assert sum(counts) == upto * per_text
        assert max(counts) - min(counts) <= 1


@settings(deadline=None)  # a busy machine is no failure
@given(IDS, st.integers(1, 7), st.integers(1, 16))
def test_a_voice_speaks_a_text_again_only_when_all_have_spoken(ids: list[str], count: int, per_text: int) -> None:
    for its_parts in cast_all(ids, some_voices(count), per_text, seed=0):
        assert len({(part.voice, part.take) for part in its_parts}) == per_text
        takes = Counter(part.take for part in its_parts)
        assert all(takes[take] == count for take in range(per_text // count))


@settings(deadline=None)  # a busy machine is no failure
@given(IDS, st.lists(st.text(min_size=7, max_size=9), max_size=10, unique=True))
def test_appended_texts_change_nothing_for_those_before(ids: list[str], more: list[str]) -> None:
    voices = some_voices(5)
    alone = cast_all(ids, voices, 3, 1, (0.9, 1.1))
    assert cast_all([*ids, *more], voices, 3, 1, (0.9, 1.1))[: len(ids)] == alone


def test_a_clip_that_stays_keeps_its_speed_and_seed_when_a_text_is_inserted() -> None:
    voices = some_voices(2)
    before = cast_all(["a", "b"], voices, 2, 1, (0.9, 1.1))
    after = cast_all(["new", "a", "b"], voices, 2, 1, (0.9, 1.1))
    assert {(part, clip_seed(1, "b", part, 0)) for part in before[1]} == {
        (part, clip_seed(1, "b", part, 0)) for part in after[2]
    }


def test_pairs_of_voices_are_not_always_the_same() -> None:
    parts = cast_all([str(number) for number in range(60)], some_voices(4), 2, 0)
    assert len({frozenset(part.voice for part in its_parts) for its_parts in parts}) == 6  # all pairs of 4


def test_speed_lies_in_its_range_and_varies() -> None:
    speeds = [part.speed for its in cast_all("abcdefgh", some_voices(2), 2, 0, (0.9, 1.1)) for part in its]
    assert all(0.9 <= speed <= 1.1 for speed in speeds)
    assert len(set(speeds)) > 10


def test_a_voice_that_repeats_a_text_changes_its_speed() -> None:
    [parts] = cast_all(["a"], some_voices(1), 4, 0)
    assert parts[0].speed == 1.0
    assert len({part.speed for part in parts}) == 4


def test_another_seed_casts_otherwise() -> None:
    ids = [str(number) for number in range(20)]
    assert cast_all(ids, some_voices(4), 1, 0) != cast_all(ids, some_voices(4), 1, 1)


def test_seeds_differ_by_text_voice_take_and_attempt() -> None:
    part = CastVoice(Voice("e", "v"), 0, 1.0)
    seeds = [
        clip_seed(0, "a", part, 0),
        clip_seed(1, "a", part, 0),
        clip_seed(0, "b", part, 0),
        clip_seed(0, "a", part, 1),
        clip_seed(0, "a", CastVoice(part.voice, 1, 1.0), 0),
        clip_seed(0, "a", CastVoice(Voice("e", "w"), 0, 1.0), 0),
    ]
    assert len(set(seeds)) == len(seeds)


def test_casting_and_keys_are_the_same_in_every_process() -> None:
    code = (
        "import json; from data_synth.plan.casting import *; from data_synth.plan.attempt import clip_key;"
        "from data_synth.plan.voices import Voice;"
        "v=[Voice('e', str(i)) for i in range(5)]; c=list(cast(['a','b','c'], v, 3, 7, (0.9, 1.1)));"
        "print(json.dumps([[str(p.voice), p.take, p.speed, clip_seed(7, 'a', p, 0)] for t in c for p in t]"
        "+[clip_key('a', 'e', 'v', '1', {'b': 1, 'a': 2.5}, 3)]))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(printed) == 1
    assert len(json.loads(printed.pop())) == 10


@pytest.mark.usefixtures("plugin")
def test_specs_name_voices_in_order_and_once() -> None:
    voices = find_voices(["fake:high+slow, fake:high", "fake"])
    assert [str(voice) for voice in voices] == ["fake:high", "fake:slow", "fake:low"]


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["fake:hihg"], "did you mean 'high'"),
        (["fak"], "did you mean 'fake'?"),
        (["zzzzzz"], "use one of"),
        (["broken"], "cannot be loaded"),
    ],
)
def test_unknown_voices_and_engines_are_told_with_the_nearest(specs: list[str], said: str) -> None:
    with pytest.raises(SynthesisError, match=said.replace("?", r"\?")):
        find_voices(specs)


def test_no_voice_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no voice is named"):
        find_voices([" , "])


def test_a_voices_own_ranges_come_before_its_engines_and_the_runs() -> None:
    voices = [Voice("a", "x"), Voice("a", "y"), Voice("b", "z")]
    given = {"a": {"speed": (0.5, 0.6), "pitch": (10, 20)}, "a:y": {"speed": 1.3}}
    parts = cast_all([str(n) for n in range(60)], voices, 3, 0, (0.9, 1.1), voice_ranges(given, voices))
    found: dict[str, list[CastVoice]] = {str(voice): [] for voice in voices}
    for part in (part for its_parts in parts for part in its_parts):
        found[str(part.voice)].append(part)
    assert all(0.5 <= part.speed <= 0.6 for part in found["a:x"])
    assert {part.speed for part in found["a:y"]} == {1.3}
    assert all(0.9 <= part.speed <= 1.1 and not part.drawn for part in found["b:z"])
    pitches = [part.parameters["pitch"] for part in found["a:x"] + found["a:y"]]
    assert 10 <= min(pitches) < 12 < 18 < max(pitches) <= 20
    assert len(set(pitches)) > 100


def test_a_fixed_speed_of_a_voice_holds_when_it_repeats_a_text() -> None:
    voices = some_voices(1)
    [parts] = cast_all(["a"], voices, 3, 0, ranges=voice_ranges({"engine": {"speed": 1.2}}, voices))
    assert {part.speed for part in parts} == {1.2}


def test_without_ranges_of_their_own_voices_are_cast_as_ever() -> None:
    voices = some_voices(3)
    plain = cast_all(["a", "b"], voices, 4, 0, (0.9, 1.1))
    other = cast_all(["a", "b"], voices, 4, 0, (0.9, 1.1), voice_ranges({"engine:voice 1": {"pitch": (1, 2)}}, voices))
    for before, after in zip(chain(*plain), chain(*other), strict=True):
        assert (before.voice, before.take, before.speed) == (after.voice, after.take, after.speed)
        assert bool(after.drawn) == (after.voice.name == "voice 1")


@pytest.mark.usefixtures("plugin")
def test_ranges_reach_the_plan_and_are_checked_by_the_engine() -> None:
    options = SynthesisOptions.parse({"engines": "fake:low+high", "voices": {"fake:low": {"speed": [0.5, 0.7]}}})
    plans = list(planned([Text.of(f"text {n}", "d") for n in range(6)], find_voices(options.engines), options))
    for plan in plans:
        speed = plan.parameters["speed"]
        assert isinstance(speed, float)
        assert (0.5 <= speed <= 0.7) == (plan.voice == "low")


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"fake:hihg": {"speed": 1.0}}, ConfigError, "did you mean 'fake:high'"),
        ({"flite": {"speed": 1.0}}, ConfigError, "no such voice or engine"),
        ({"fake:low": {"pitch": [1, 2]}}, SynthesisError, r"fake\.pitch: the engine has no such parameter"),
        ({"fake": {"speed": [1, 9]}}, SynthesisError, r"fake\.speed: must be a number from 0\.25 to 4"),
    ],
)
def test_wrong_ranges_are_told_before_a_clip_is_made(
    tmp_path: Path, given: dict[str, object], error: type[Exception], said: str
) -> None:
    options = SynthesisOptions.parse({"engines": "fake", "voices": given})
    with pytest.raises(error, match=said):
        synthesize([Text.of("a", "d")], tmp_path / "out", options, progress=False)
    assert not (tmp_path / "out").exists()


@settings(deadline=None)  # a busy machine is no failure
@given(IDS, st.integers(1, 4), st.integers(0, 5), st.integers(1, 12), st.integers(0, 99))
def test_further_voices_speak_when_all_others_have(
    ids: list[str], count: int, more: int, per_text: int, seed: int
) -> None:
    """A text's voices are distinct while there are enough; without need of them nothing changes."""
    voices, further = some_voices(count), [Voice("engine", f"further {number}") for number in range(more)]
    alone = cast_all(ids, voices, per_text, seed)
    parts = cast_all(ids, voices, per_text, seed, further=[further] if further else [])
    for before, its_parts in zip(alone, parts, strict=True):
        assert set(its_parts[:count]) == set(before[:count])  # the same clips, keys included
        assert len({part.voice for part in its_parts}) == min(per_text, count + more)
    used = Counter(part.voice for its_parts in parts for part in its_parts)
    for tier in (voices, further):
        counts = [used[voice] for voice in tier] or [0]
        assert max(counts) - min(counts) <= 1
    if per_text <= count:
        assert parts == alone


def test_a_variant_has_another_pace_and_seed_than_its_voice() -> None:
    voices, variants = some_voices(1), [Voice("engine", "voice 0", "low"), Voice("engine", "voice 0", "high")]
    [parts] = cast_all(["a"], voices, 3, 0, further=[variants])
    assert {str(part.voice) for part in parts} == {"engine:voice 0", "engine:voice 0~low", "engine:voice 0~high"}
    assert len({part.speed for part in parts}) == 3
    assert len({clip_seed(0, "a", part, 0) for part in parts}) == 3


def test_what_is_said_of_a_voice_holds_for_its_variants() -> None:
    voice, low = Voice("engine", "v"), Voice("engine", "v", "low")
    given = {"engine": {"speed": 0.9}, "engine:v": {"pitch": 40.0}, "engine:v~low": {"pitch": 30.0}}
    assert voice_ranges(given, [voice, low]) == {
        voice: {"speed": 0.9, "pitch": 40.0},
        low: {"speed": 0.9, "pitch": 30.0},
    }
