"""What training and evaluation need of a recogniser, whatever its family, and how one is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from speech_analogy.recognisers.windows import Padding

Backend = Literal["auto", "torch", "ctranslate2"]
"""What computes a transcription; see `backends.choose_backend` for `auto`."""
Compute = Literal["int8", "float32", "bf16"]
"""What decoding computes in. CTranslate2: int8 or float32; torch: float32, or bf16 in the encoder."""

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
