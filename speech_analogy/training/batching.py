"""Which utterances share a batch: Lhotse's duration buckets, seeded, the same for every run of the same recipe."""

from __future__ import annotations

import random
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar, cast

import torch
from lhotse import CutSet
from lhotse.dataset import DynamicBucketingSampler, SimpleCutSampler

from speech_analogy.corpora.cuts import text_of
from speech_analogy.errors import DataError
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.protocol import IGNORED_LABEL, Recogniser, TimedRecogniser
from speech_analogy.recognisers.windows import Window, window_seconds
from speech_analogy.training.features import FeatureStore

CUTS_PER_BUCKET_AT_LEAST = 64  # fewer would leave many batches short
TEXTS_SORTED_TOGETHER = 32  # batches; more pad less, fewer mix more
ROUNDING = 1e-6  # of a row
PREFETCHED = 2  # batches prepared while one is trained on

T = TypeVar("T")
U = TypeVar("U")


def require_writable_texts(cuts: CutSet, recogniser: Recogniser) -> None:
    """Refuse, before the first step, a text that is longer than the model can write.

    Raises:
        DataError: with the cut's id.
    """
    if not family_of(recogniser).timestamps:
        return
    timed = cast("TimedRecogniser", recogniser)
    for cut in cuts:
        text = text_of(cut)
        if len(text.encode()) > timed.most_label_tokens and timed.label_tokens(text) > timed.most_label_tokens:
            rule = f"{cut.id}: the text has more than the {timed.most_label_tokens} tokens that the model can write"
            raise DataError(rule, value=timed.label_tokens(text), do="cut the recording into utterances")


def most_text_bytes(recogniser: Recogniser) -> float:
    """Bytes of a text that the model can write whatever it says: a token has one at least."""
    timed = family_of(recogniser).timestamps
    return cast("TimedRecogniser", recogniser).most_label_tokens if timed else float("inf")


@dataclass(frozen=True)
class TrainingBatch:
    """One step's tensors."""

    features: torch.Tensor  # (batch, mels, frames) float32
    inputs: torch.Tensor  # (batch, tokens) int64
    targets: torch.Tensor  # (batch, tokens) int64, -100 where nothing is learned
    rows: int
    """Windows: of an utterance each, or of several."""
    window_s: float
    share: float = 1.0
    """Of the step's learned tokens, where several processes share a step."""

    def parts(self, seconds: float | None) -> Iterator[tuple[TrainingBatch, float]]:
        """The batch in as few parts of at most `seconds` of windows (or one row) as there must be.

        They are as equal as they can be, and each comes with its share of the tokens.

        The mean loss of the step is the parts' mean losses weighed by these shares, summed over the processes.
        """
        most = self.rows if seconds is None else max(1, int(seconds / self.window_s + ROUNDING))
        parts = -(-self.rows // most)
        learned = int((self.targets != IGNORED_LABEL).sum())
        for part in range(parts):
            start, stop = (self.rows * at // parts for at in (part, part + 1))
            targets = self.targets[start:stop]
            share = self.share * (int((targets != IGNORED_LABEL).sum()) / learned)
            own = replace(self, features=self.features[start:stop], inputs=self.inputs[start:stop], targets=targets)
            yield replace(own, rows=stop - start), share


def epoch_batches(
    cuts: CutSet, *, batch_size: int, seed: int, epoch: int, buckets: int = 10, bins_s: Sequence[float] | None = None
) -> list[list[Any]]:
    """The batches of one epoch: cuts of similar duration, in a seeded order.

    A function of its arguments alone, so a resumed run sees the batches that the undisturbed one would have seen.

    Args:
        bins_s: durations, in seconds, that divide the buckets; None: such that `buckets` hold as much speech each.
    """
    count = len(cuts)
    buckets = min(buckets, count // CUTS_PER_BUCKET_AT_LEAST) if bins_s is None else len(bins_s) + 1
    common: dict[str, Any] = {
        "max_cuts": batch_size,
        "shuffle": True,
        "drop_last": False,
        "seed": seed,
        "rank": 0,  # every process sees the whole batch and takes its part of it
        "world_size": 1,
    }
    sampler: DynamicBucketingSampler | SimpleCutSampler
    if buckets > 1:
        with warnings.catch_warnings():  # it advises to read lazily; the whole set is in memory for its digest anyway
            warnings.filterwarnings("ignore", message="You are using DynamicBucketingSampler", category=UserWarning)
            bins: Any = {"num_buckets": buckets} if bins_s is None else {"duration_bins": list(bins_s)}
            sampler = DynamicBucketingSampler(cuts, buffer_size=count, **bins, **common)
    else:  # too few for buckets of similar duration
        sampler = SimpleCutSampler(cuts, **common)
    sampler.set_epoch(epoch)
    return [list(batch) for batch in sampler]


def twin_batches(cuts: CutSet, *, batch_size: int, seed: int, epoch: int) -> list[list[Any]]:
    """The batches of one epoch by the texts alone: sets of the same texts get the same texts in the same batches.

    So two models tuned on twins (the same texts, spoken and synthesised) differ by the speech and not by the order.
    Texts are shuffled, sorted by length within chunks of `TEXTS_SORTED_TOGETHER` batches, cut into batches, and the
    batches are shuffled.
    """
    draw = random.Random(f"{seed} {epoch}")
    ordered = sorted(cuts, key=lambda cut: (text_of(cut), cut.id))
    draw.shuffle(ordered)
    batches: list[list[Any]] = []
    together = batch_size * TEXTS_SORTED_TOGETHER
    for start in range(0, len(ordered), together):
        chunk = sorted(ordered[start : start + together], key=lambda cut: len(text_of(cut)))
        batches += [chunk[at : at + batch_size] for at in range(0, len(chunk), batch_size)]
    draw.shuffle(batches)
    return batches


def batch_window_s(batch: list[Any], window: Window) -> float:
    """The window that holds every utterance of the batch."""
    return max(window_seconds(cut.duration, window) for cut in batch)


def make_batch(
    batch: list[Any],
    recogniser: Recogniser,
    window: Window,
    store: FeatureStore | None = None,
    rank: int = 0,
    processes: int = 1,
) -> TrainingBatch:
    """One process's part of a batch of cuts: every n-th, in the window of the whole batch.

    Args:
        store: where features come from; None: they are made.
    """
    store = store or FeatureStore(recogniser, window)
    inputs, targets = recogniser.labels([text_of(cut) for cut in batch])
    rows, share = own_rows(targets, rank, processes)
    seconds = batch_window_s(batch, window)
    features = store.batch([batch[row] for row in rows], seconds)
    return TrainingBatch(features, inputs[rows], targets[rows], len(rows), seconds, share)


def own_rows(targets: torch.Tensor, rank: int, processes: int) -> tuple[list[int], float]:
    """One process's rows of a batch, every n-th, and their share of its learned tokens.

    A process with nothing to do works on the first row, for a share of nothing.

    Args:
        targets: (batch, tokens) int64, -100 where nothing is learned.
    """
    rows = list(range(rank, len(targets), processes))
    if not rows:
        return [0], 0.0
    learned = targets != IGNORED_LABEL
    return rows, int(learned[rows].sum()) / int(learned.sum())


def prefetch(batches: Iterable[T], make: Callable[[T], U]) -> Iterator[U]:
    """Make batches in a thread of their own, a few ahead, in order.

    That thread goes through `batches`, too, and computes alone. With helpers of its own there would be more of
    OpenMP's threads than cores, and those of the thread that learns would sleep at the end of every operation where
    they otherwise wait: a step in small parts takes half as long again then.
    """
    waiting: deque[Future[list[U]]] = deque()
    source = iter(batches)

    def one() -> list[U]:
        """The next one; none at the end."""
        return [make(batch) for batch in islice(source, 1)]

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(_compute_alone).result()
        torch.set_num_threads(threads)  # what threads will have that are started later; in this one nothing changes
        for _ in range(PREFETCHED + 1):
            waiting.append(pool.submit(one))
        while made := waiting.popleft().result():
            yield made.pop()
            waiting.append(pool.submit(one))


def _compute_alone() -> None:
    """This thread does all of its work itself."""
    torch.set_num_threads(1)
    torch.get_num_threads()  # settles it: a thread's first operation would take the number that was set last anywhere
