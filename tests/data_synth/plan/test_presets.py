"""Presets are values that SynthesisOptions takes, and say what the paper did."""

from __future__ import annotations

import pytest

from data_synth.plan.casting import cast
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.presets import PRESETS, with_preset
from data_synth.plan.voices import Voice
from speech_analogy.errors import ConfigError


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_papers_presets_are_five_unfiltered_clips_at_16_khz(name: str) -> None:
    options = SynthesisOptions.parse(with_preset(name))
    assert (options.voices_per_text, options.gates, options.sampling_rate) == (5, None, 16_000)
    assert options.engines == {"paper-bark": ("bark:large",), "paper-speecht5": ("speecht5:random",)}[name]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_all_five_clips_keep_the_voices_own_pace(name: str) -> None:
    """One voice speaks a text five times; left alone, `cast` would vary the speed of four of them."""
    options = SynthesisOptions.parse(with_preset(name))
    voice = [Voice("any", "voice")]
    parts = list(cast([f"text {n}" for n in range(200)], voice, options.voices_per_text, 0, options.speed))
    assert {part.speed for text in parts for part in text} == {1.0}
    assert {part.speed for part in next(cast(["text"], voice, 5, 0))} != {1.0}


def test_what_is_given_comes_first() -> None:
    options = SynthesisOptions.parse(with_preset("paper-bark", {"voices_per_text": 2, "engines": "bark:small"}))
    assert (options.voices_per_text, options.engines, options.parameters) == (2, ("bark:small",), {})
    assert with_preset("paper-bark")["parameters"] == {"bark": {"keep_unfinished": 1}}
    assert PRESETS["paper-bark"]["voices_per_text"] == 5


def test_an_unknown_preset_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no such preset \(found 'paper_bark'\); did you mean 'paper-bark'"):
        with_preset("paper_bark")
