"""What a fine-tuning asks of its speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import PlannedBatch


class TrainingBatches(Protocol):
    """The batches of all epochs, a function of the speech and the options alone."""

    steps: int
    last: int
    """Steps of the last epoch."""

    def epoch_of(self, step: int) -> int:
        """The epoch, from 1, of a step, from 0."""

    def from_step(self, done: int) -> Iterator[PlannedBatch]:
        """The batches of the steps that are left."""


class TrainingSpeech(Protocol):
    """Utterances with texts."""

    utterances: int
    keeps_features: bool
    """Whether an utterance's features are kept in memory for the next epoch."""

    @property
    def key(self) -> str:
        """What a state to resume from depends on: a digest."""

    def require_writable(self, recogniser: Recogniser) -> None:
        """Refuse, before the first step, a text that is longer than the model can write: DataError."""

    def batches(self, options: FinetuneOptions) -> TrainingBatches:
        """What shares a step, and in which order."""

    def record(self, start: Path, language: str) -> dict[str, Any]:
        """What provenance says of it, of a model that began as the one in the folder `start`."""

    def write(self, path: Path, record: dict[str, Any]) -> None:
        """Write the provenance that holds this record."""
