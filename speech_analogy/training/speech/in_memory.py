"""Speech as a list of cuts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.corpora.splits import digest
from speech_analogy.foundation.files import write_json
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.training.batching import epoch_batches, require_writable_texts, twin_batches
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import PlannedBatch, plan_batches
from speech_analogy.training.publish import seen_in, tuned_on


class BatchesInMemory:
    """See `TrainingBatches`."""

    def __init__(self, cuts: CutSet, options: FinetuneOptions) -> None:
        batches = twin_batches if options.order == "text" else epoch_batches
        self._epochs = []
        for epoch in range(options.epochs):
            made = batches(cuts, batch_size=options.batch_size, seed=options.seed, epoch=epoch)
            self._epochs.append(plan_batches(made, options, epoch))
        self.steps, self.last = sum(len(planned) for planned in self._epochs), len(self._epochs[-1])

    def epoch_of(self, step: int) -> int:
        for number, batches in enumerate(self._epochs, start=1):
            if step < len(batches):
                return number
            step -= len(batches)
        return len(self._epochs)

    def from_step(self, done: int) -> Iterator[PlannedBatch]:
        yield from [batch for batches in self._epochs for batch in batches][done:]


class SpeechInMemory:
    """See `TrainingSpeech`.

    Args:
        cuts: as `cuts_of` gives them.
    """

    keeps_features = True

    def __init__(self, cuts: CutSet) -> None:
        self._cuts, self.utterances = cuts, len(cuts)

    @property
    def key(self) -> str:
        return digest(self._cuts)

    def require_writable(self, recogniser: Recogniser) -> None:
        require_writable_texts(self._cuts, recogniser)

    def batches(self, options: FinetuneOptions) -> BatchesInMemory:
        return BatchesInMemory(self._cuts, options)

    def record(self, start: Path, language: str) -> dict[str, Any]:
        return {"tuned_on": tuned_on(self._cuts), **seen_in(self._cuts, start, language)}

    def write(self, path: Path, record: dict[str, Any]) -> None:
        write_json(path, record)
