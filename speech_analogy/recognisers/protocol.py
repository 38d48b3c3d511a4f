"""What training and evaluation need of a recogniser, whatever its family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.windows import Padding

Backend = Literal["auto", "torch", "ctranslate2"]
"""What computes a transcription; see `loading.choose_backend` for `auto`."""
Compute = Literal["int8", "float32", "bf16"]
"""What decoding computes in. CTranslate2: int8 or float32; torch: float32, or bf16 in the encoder."""

REPEATED_TOKENS = 3  # in a row, which `LoopingTranscriber.without_repeats` writes once
IGNORED_LABEL = -100  # a target that is not learned; torch's ignore_index


@dataclass(frozen=True)
class Segment:
    """A piece of speech in a window."""

    text: str
    start_s: float
    end_s: float | None
    """None: the window ends before it does, so that its text is left out and only its start is written."""


@dataclass(frozen=True)
class WindowText:
    """What is to be written of a window."""

    segments: tuple[Segment, ...]
    timed: bool
    """With time stamps."""


class Transcriber(Protocol):
    """What turns 16 kHz speech into text, whatever computes it; see `WhisperRecogniser` for shapes and units."""

    folder: Path
    language: str
    model_type: str
    """As `config.json` calls it; `families.family_of` knows what such a model can do."""
    backend: Backend
    compute: Compute

    @property
    def device(self) -> torch.device: ...

    def features(
        self, waveforms: Sequence[np.ndarray], window_s: float, padding: Padding = "silence"
    ) -> torch.Tensor: ...

    def decode(self, features: torch.Tensor, durations_s: Sequence[float], beams: int = 1) -> list[str]: ...

    def decode_all(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[str]]: ...


@dataclass(frozen=True)
class Attempt:
    """An utterance as one pass of an autoregressive decoder wrote it."""

    text: str
    cut_off: bool
    """It reached its limit of tokens before the decoder came to an end."""
    log_probability: float
    """Mean of its tokens and the end."""


class LoopingTranscriber(Transcriber, Protocol):
    """A transcriber with an autoregressive decoder: what it writes can repeat itself, or be invented in silence."""

    def attempts(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[Attempt]]:
        """What `decode_all` writes, and what tells whether to believe it."""

    def without_repeats(self, features: torch.Tensor, durations_s: Sequence[float]) -> list[str]:
        """Transcribe a batch greedily, without any `REPEATED_TOKENS` tokens in a row that a row has already."""

    def no_speech(self, features: torch.Tensor) -> list[float]:
        """The probability that there is no speech, of each row: of <|nospeech|> in place of the prompt's beginning."""


class BiasableTranscriber(Transcriber, Protocol):
    """A transcriber that text can bias: its family names the methods (`RecogniserFamily.text_bias`)."""

    def biased(self, bias: TextBias) -> Transcriber:
        """The same model, weights shared, that decodes with a domain's text; this object stays as it is."""


class Recogniser(Transcriber, Protocol):
    """A transcriber that can be trained and saved."""

    model: Any

    @property
    def kind_of_features(self) -> str:
        """What tells this model's features from another's."""

    def computing_in(self, compute: Compute) -> Recogniser:
        """The same model, weights shared, computing in `compute` where it can; this object stays as it is."""

    def voice(self, waveform: np.ndarray, duration_s: float) -> torch.Tensor:
        """What an utterance shows of its speaker's voice: log-mel frames without padding, (mels, frames) float32."""

    def labels(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]: ...

    def loss(self, features: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor: ...

    def save(self, folder: Path) -> None: ...


class SequenceRecogniser(Recogniser, Protocol):
    """A recogniser with an encoder and an autoregressive decoder."""

    prompt: list[int]

    def encoder_states(self, features: torch.Tensor) -> torch.Tensor:
        """Features (batch, mels, frames) -> (batch, encoder frames, width)."""

    def decoder_states(self, encoded: torch.Tensor, inputs: torch.Tensor, *, every: bool) -> torch.Tensor:
        """Hidden states after the decoder's last layer, or after every one: (batch, states, tokens, width)."""

    def keeping_encoded(self) -> AbstractContextManager[list[torch.Tensor]]:
        """A list that collects the encoder's outputs while the block lasts, batch by batch."""


class TimedRecogniser(Recogniser, Protocol):
    """A recogniser that writes time stamps: its family says so (`RecogniserFamily.timestamps`)."""

    @property
    def most_label_tokens(self) -> int:
        """That a label with time stamps may have, prompt and end left out."""

    def label_tokens(self, text: str) -> int:
        """How many of them a segment with this text takes."""

    def window_labels(self, windows: Sequence[WindowText]) -> tuple[torch.Tensor, torch.Tensor]:
        """As `labels`, of windows that hold several segments."""
