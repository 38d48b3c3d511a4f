"""The family Wav2Vec2-Conformer: what it can do, and how its models are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech_analogy.recognisers.families import FeatureTraits, RecogniserFamily
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ


def _open(folder: Path, language: str, device: Any) -> Recogniser:
    from speech_analogy.recognisers.conformer.model import ConformerRecogniser

    return ConformerRecogniser(folder, language=language, device=device)


CONFORMER = RecogniserFamily(
    name="Wav2Vec2-Conformer",
    model_types=("wav2vec2-conformer",),
    open=_open,
    # An utterance is normalised over its own samples, and its mask ends with it: silence after it repeats nothing.
    features=FeatureTraits(kind="waveform", per_s=SAMPLING_RATE_HZ, silence_repeats=False),
    decoder="ctc",
    native_window="trimmed",  # it takes any length and its padding is masked: it has nothing from 30 s
    most_beams=1,  # without a language model a beam search has nothing to search
)
