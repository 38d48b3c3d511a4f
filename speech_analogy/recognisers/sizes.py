"""How many parameters a base has, without fetching it: from its files, or by the name that it is published under."""

from __future__ import annotations

from functools import cache

from speech_analogy.errors import WeightsUnavailableError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.weights import resolve_weights

PUBLISHED = {  # model on the hub -> parameters, as its model card or its config gives them
    "openai/whisper-tiny": 37_760_640,
    "openai/whisper-base": 72_593_920,
    "openai/whisper-small": 241_734_912,
    "openai/whisper-medium": 763_857_920,
    "openai/whisper-large": 1_543_304_960,
    "openai/whisper-large-v2": 1_543_304_960,
    "openai/whisper-large-v3": 1_543_490_560,
    "openai/whisper-large-v3-turbo": 808_878_080,
}
PACKAGES = {"pip:whisper-tiny.en": "openai/whisper-tiny", "pip:whisper-base": "openai/whisper-base"}
ENGLISH = ".en"  # the English models are as large but for one row of the embedding


@cache
def parameters_of(base: str) -> int | None:
    """The number of parameters; None where nobody here knows it.

    Raises:
        CheckpointError: its files are broken.
    """
    try:
        weights = open_checkpoint(resolve_weights(base))
    except WeightsUnavailableError:
        return PUBLISHED.get(PACKAGES.get(base, base).removesuffix(ENGLISH))
    return sum(weights.numel(name) for name in weights)
