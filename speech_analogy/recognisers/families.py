"""The families of recognisers, and how a model of one is loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from speech_analogy.errors import CheckpointError
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.model_record import family_of, provenance
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import Window, window_of_record

CTC_FAMILIES = ("wav2vec2-conformer",)
"""Families, as `config.json` calls them, of an encoder with a CTC head."""


def load_recogniser(model: str | Path, *, language: str = "en", device: str | torch.device = "cpu") -> Recogniser:
    """Load a model by the name of its weights (see `resolve_weights`).

    Args:
        device: where it shall compute; see `find_device`.

    Raises:
        CheckpointError: it is broken, or of a family that is not supported.
        ConfigError: no such device.
    """
    folder, device = resolve_weights(str(model)), find_device(device)
    family = family_of(folder)
    if family == "whisper":
        from speech_analogy.recognisers.whisper.model import WhisperRecogniser

        return WhisperRecogniser(folder, language=language, device=device)
    if family in CTC_FAMILIES:
        from speech_analogy.recognisers.conformer import ConformerRecogniser

        return ConformerRecogniser(folder, language=language, device=device)
    raise CheckpointError(
        "the model's family is not supported", file=folder / "config.json", field="model_type", value=family
    )


def native_window(folder: Path) -> Window:
    """The window a checkpoint decodes well in: the one it was tuned in, and 30 s for any other Whisper.

    A CTC encoder takes any length and its padding is masked: it has nothing from 30 s.
    """
    record = provenance(folder)
    if "window" not in record:  # a merged model is decoded like the model that was moved
        record = record.get("parents", {}).get("c", {})
    if "window" not in record and (folder / "config.json").is_file() and family_of(folder) in CTC_FAMILIES:
        return "trimmed"
    return window_of_record(record.get("window"))
