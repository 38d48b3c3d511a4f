"""Speech that stays on the disk: cuts are read as their turn comes, and what is known of them is kept by part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.corpora.streams.heard import Heard, write_record
from speech_analogy.corpora.streams.stream import Stream
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.foundation.digests import derive
from speech_analogy.merging.io.provenance import SEEN
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.training.batching import epoch_batches, most_text_bytes, require_writable_texts
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import PlannedBatch, plan_batches


class StreamedBatches:
    """See `TrainingBatches`: chunk by chunk of an epoch's parts, each in Lhotse's buckets, those of all chunks alike.

    How many batches a chunk has is known from the number of its cuts in each bucket. To resume, one chunk is read.
    """

    def __init__(self, stream: Stream, options: FinetuneOptions) -> None:
        self._stream, self._options = stream, options
        epochs = range(options.epochs)
        self._chunks = [stream.chunks(options.seed, epoch) for epoch in epochs]
        self._steps = [[self._count(chunk) for chunk in self._chunks[epoch]] for epoch in epochs]
        self.steps, self.last = sum(map(sum, self._steps)), sum(self._steps[-1])

    def epoch_of(self, step: int) -> int:
        for number, steps in enumerate(self._steps, start=1):
            step -= sum(steps)
            if step < 0:
                return number
        return len(self._steps)

    def from_step(self, done: int) -> Iterator[PlannedBatch]:
        for epoch, chunks in enumerate(self._chunks):
            for number, chunk in enumerate(chunks):
                count = self._steps[epoch][number]
                if done >= count:
                    done -= count
                    continue
                left = self._plan(epoch, number, chunk)[done:]
                done = 0
                left.reverse()
                while left:  # what was learned from need not stay in memory
                    yield left.pop()

    def _count(self, chunk: list[int]) -> int:
        return int((-(-self._stream.buckets[chunk].sum(axis=0) // self._options.batch_size)).sum())

    def _plan(self, epoch: int, number: int, chunk: list[int]) -> list[PlannedBatch]:
        options = self._options
        batches = epoch_batches(
            CutSet.from_cuts(self._stream.cuts(chunk)),
            batch_size=options.batch_size,
            seed=derive(options.seed, epoch, number),
            epoch=epoch,
            bins_s=self._stream.bins_s,
        )
        assert len(batches) == self._steps[epoch][number], "the sampler makes other batches than were counted"
        return plan_batches(batches, options, f"{epoch}.{number}")


class StreamedSpeech:
    """See `TrainingSpeech`.

    Args:
        stream: the speech.
        progress: while its audio is read for its digest, after the last step.
    """

    keeps_features = False

    def __init__(self, stream: Stream, *, progress: bool) -> None:
        self._stream, self._progress = stream, progress
        self._heard: Heard | None = None
        self.utterances = stream.contents.utterances

    @property
    def key(self) -> str:
        return self._stream.contents.digest

    def require_writable(self, recogniser: Recogniser) -> None:
        if self._stream.contents.longest_text_bytes <= most_text_bytes(recogniser):
            return
        for number in range(len(self._stream.parts)):
            require_writable_texts(CutSet.from_cuts(self._stream.part_cuts(number)), recogniser)

    def batches(self, options: FinetuneOptions) -> StreamedBatches:
        return StreamedBatches(self._stream, options)

    def record(self, start: Path, language: str) -> dict[str, Any]:
        contents, before = self._stream.contents, provenance(start).get(SEEN)
        known = before if isinstance(before, dict) else {}
        self._heard = Heard(self._stream, language, normaliser(language), known, progress=self._progress)
        return {
            "tuned_on": {
                "utterances": contents.utterances,
                "hours": round(contents.seconds / 3600, 4),
                "kinds": sorted(contents.kinds),
                "domains": sorted(contents.domains),
                **({"voices": sorted(contents.voices)} if contents.voices else {}),
                "digest": self._heard.digest,
            }
        }

    def write(self, path: Path, record: dict[str, Any]) -> None:
        assert self._heard is not None, "record() comes first"
        write_record(path, record, {SEEN: self._heard.packed()})
