"""What training and evaluation need of a recogniser, whatever its family, and how one is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from speech_analogy.errors import CheckpointError
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import Padding, Window, window_of_record

Backend = Literal["auto", "torch", "ctranslate2"]
"""What computes a transcription; see `backends.choose_backend` for `auto`."""
Compute = Literal["int8", "float32", "bf16"]
"""What decoding computes in. CTranslate2: int8 or float32; torch: float32, or bf16 in the encoder."""
CTC_FAMILIES = ("wav2vec2-conformer",)
"""Families, as `config.json` calls them, of an encoder with a CTC head."""

IGNORED_LABEL = -100  # a target that is not learned; torch's ignore_index


class Transcriber(Protocol):
    """What turns 16 kHz speech into text, whatever computes it; see `WhisperRecogniser` for shapes and units."""

    folder: Path
    language: str

    def features(
        self, waveforms: Sequence[np.ndarray], window_s: float, padding: Padding = "silence"
    ) -> torch.Tensor: ...

    def decode(self, features: torch.Tensor, durations_s: Sequence[float], beams: int = 1) -> list[str]: ...

    def listen(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[str]]: ...


class Recogniser(Transcriber, Protocol):
    """A transcriber that can be taught and written."""

    family: str
    model: Any

    @property
    def device(self) -> torch.device: ...

    def labels(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]: ...

    def loss(self, features: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor: ...

    def save(self, folder: Path) -> None: ...


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
        from speech_analogy.recognisers.whisper import WhisperRecogniser

        return WhisperRecogniser(folder, language=language, device=device)
    if family in CTC_FAMILIES:
        from speech_analogy.recognisers.conformer import ConformerRecogniser

        return ConformerRecogniser(folder, language=language, device=device)
    raise CheckpointError(
        "the model's family is not supported", file=folder / "config.json", field="model_type", value=family
    )


def family_of(folder: Path) -> str | None:
    """What a model folder's `config.json` calls its family.

    Raises:
        CheckpointError: the file is not JSON.
    """
    config = folder / "config.json"
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"is not JSON: {error}", file=config) from None
    return content.get("model_type") if isinstance(content, dict) else None


def provenance(folder: Path) -> dict[str, Any]:
    """What the toolkit wrote beside the weights: base, window, training; empty for a foreign folder."""
    path = folder / "provenance.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"is not JSON: {error}", file=path) from None
    return content if isinstance(content, dict) else {}


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
