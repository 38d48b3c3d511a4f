"""Stages that make speech: what a later stage cannot take is left out by the one that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_synth.plan.options import SynthesisOptions
from data_synth.text.texts import Text
from speech_analogy.adaptation.stages.corpus import speech_stage
from speech_analogy.adaptation.stages.params.base import CUTS_FILE
from speech_analogy.adaptation.stages.params.speech_params import SpeechParams
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.errors import DataError
from tests.adaptation.building import work_of

LONG = "this text goes on and on until nobody wants to hear any more of it " * 12


@pytest.mark.parametrize("gates", [True, False])
def test_clips_that_nothing_can_learn_from_are_left_out(tmp_path: Path, gates: bool) -> None:
    """By the gate, or without gates by the stage: fine-tuning refuses what is longer than a window."""
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    asked = {"engines": "hibari", "attempts": 1} | ({} if gates else {"gates": None})
    texts = (Text.of("a short one", "a"), Text.of(LONG, "a"))

    def speak(folder: Path, spoken: tuple[Text, ...]) -> None:
        params = SpeechParams(domain="a", spoken=spoken, texts="", options=SynthesisOptions.parse(asked), files=None)
        speech_stage(work_of(folder, params, {}))

    speak(tmp_path / "both", texts)
    assert [cut.supervisions[0].text for cut in cuts_of(tmp_path / "both" / CUTS_FILE)] == ["a short one"]
    with pytest.raises(DataError, match="no clip was kept.*duration_s" if gates else "every clip is longer than 30 s"):
        speak(tmp_path / "long", texts[1:])
