"""A plan is a stream of texts with their clips, never a list."""

from __future__ import annotations

from itertools import islice

import pytest

from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import SynthesisPlan
from data_synth.plan.voices import find_voices
from data_synth.text.texts import Text
from tests.data_synth.rows import planned


@pytest.mark.usefixtures("plugin")
def test_a_plan_is_a_stream_that_can_be_read_again() -> None:
    texts = [Text.of(f"say {number}" if number % 3 else "?" * number) for number in range(1, 40)]
    options = SynthesisOptions.parse({"engines": "fake", "voices_per_text": 2})
    plan = SynthesisPlan(texts, find_voices(options.engines), options)
    first = next(iter(plan))
    assert first.text == texts[0]
    assert [text.text for text in plan] == [text.text for text in plan] == texts
    assert [text.number for text in islice(plan, 6)] == [0, 1, 0, 2, 3, 1]
    assert [clip for text in plan for clip in text.clips] == planned(texts, find_voices(options.engines), options)
