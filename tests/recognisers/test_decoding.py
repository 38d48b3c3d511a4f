"""Decoding options: frozen, every key known; what is loaded with them is never changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lhotse import CutSet
from pydantic import ValidationError

from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.loading import backend_name, load_transcriber
from speech_analogy.recognisers.whisper.model import WhisperRecogniser


def test_a_loaded_recogniser_stays_as_it_is(small_whisper: Path, noises: CutSet) -> None:
    """Whoever lends a recogniser finds it computing as before, whatever it was decoded with."""
    mine = WhisperRecogniser(small_whisper)
    few = CutSet.from_cuts(list(noises)[:2])
    lent = load_transcriber(mine, DecodingOptions(compute="bf16"))
    assert (mine.compute, backend_name(mine), backend_name(lent)) == ("float32", "torch", "torch-bf16")
    assert transcribe(few, mine, decoding=DecodingOptions(compute="bf16"), progress=False).backend == "torch-bf16"
    assert mine.compute == "float32"
    mine.compute = "bf16"
    assert transcribe(few, mine, progress=False).backend == "torch"
    assert mine.compute == "bf16"


def test_what_is_lent_shares_the_weights(small_whisper: Path) -> None:
    """A model that goes on being moved, as in a sweep over λ, is decoded as it is now."""
    mine = WhisperRecogniser(small_whisper)
    lent = load_transcriber(mine, DecodingOptions(compute="bf16"))
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    features = mine.features([wave], 1.5)
    before = lent.decode(features, [1.0])
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for parameter in mine.model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    assert lent.decode(features, [1.0]) == mine.computing_in("bf16").decode(features, [1.0]) != before


def test_options_are_frozen_and_refuse_what_they_do_not_know() -> None:
    assert DecodingOptions() == DEFAULT_DECODING
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT_DECODING.beams = 2  # type: ignore[misc]
    with pytest.raises(ConfigError, match="did you mean 'beams'"):
        DecodingOptions.parse({"beam": 5})
    with pytest.raises(ConfigError, match="beams"):
        DecodingOptions.parse({"beams": 0})
