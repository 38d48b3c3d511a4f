"""The student's steps: utterances alone in a window, whose states it matches, or joined in windows of 30 s.

What is joined is labelled with the teacher's own transcripts, half of the windows with time stamps, as fine-tuning
joins utterances: a state of a text that others precede is no state that the teacher had.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import torch
from lhotse import CutSet, SupervisionSegment
from lhotse.utils import fastcopy

from speech_analogy.corpora.audio import load_audio
from speech_analogy.recognisers.checking.loops import loops
from speech_analogy.recognisers.protocol import SequenceRecogniser, TimedRecogniser
from speech_analogy.recognisers.windows import FULL_WINDOW_S, SAMPLING_RATE_HZ, Window, padding_of
from speech_analogy.training.batching import epoch_batches
from speech_analogy.training.distilling.lessons import Lessons, lesson_loss, seconds_of
from speech_analogy.training.distilling.options import DistilOptions, States
from speech_analogy.training.packing.layout import Window30, heard, lay_out

WINDOWS_A_STEP = 4  # of what is joined


@dataclass(frozen=True)
class Direction:
    """From which window to which.

    Attributes:
        verb: of the working folder.
        teacher: window in which the model itself is heard.
        student: (number of batches, epoch) -> the window that each batch is shown in.
        alone: share of the utterances that are shown alone.
        joined: how often an epoch joins them in 30 s windows.
        record: (the model's provenance, what was learned from, fingerprint of the model) -> what provenance says.
    """

    verb: str
    teacher: Window
    student: Callable[[int, int], Sequence[Window]]
    record: Callable[[dict[str, Any], dict[str, Any], str], dict[str, Any]]
    alone: float = 1.0
    joined: int = 0


@dataclass(frozen=True)
class Alone:
    """Utterances that are each shown alone."""

    epoch: int
    cuts: list[Any]
    window: Window


@dataclass(frozen=True)
class Joined:
    """Windows of 30 s with several utterances each."""

    epoch: int
    windows: list[Window30]


Step = Alone | Joined
Loss = Callable[[], torch.Tensor]


def plan_steps(
    cuts: CutSet, student: SequenceRecogniser, lessons: Lessons, options: DistilOptions, direction: Direction
) -> list[Step]:
    """All steps in their order; a function of the arguments alone."""
    labelled = _labelled(cuts, lessons) if direction.joined else []
    alone = _share(cuts, direction.alone, options.seed)
    plan: list[Step] = []
    for epoch in range(options.epochs):
        batches = epoch_batches(alone, batch_size=options.batch_size, seed=options.seed, epoch=epoch)
        windows = direction.student(len(batches), epoch)
        own: list[Step] = [Alone(epoch, *both) for both in zip(batches, windows, strict=True)]
        draw = random.Random(f"{options.seed} {epoch} joined")
        for _ in range(direction.joined):
            own += _joined(labelled, cast("TimedRecogniser", student), epoch, draw)
        if direction.joined:
            draw.shuffle(own)
        plan += own
    return plan


def _share(cuts: CutSet, share: float, seed: int) -> CutSet:
    """A seeded share of the utterances, one at least, in their order."""
    rows, count = list(cuts), max(1, round(share * len(cuts)))
    if count == len(rows):
        return cuts
    chosen = sorted(random.Random(f"{seed} alone").sample(range(len(rows)), count))
    return CutSet.from_cuts(rows[at] for at in chosen)


def _labelled(cuts: CutSet, lessons: Lessons) -> list[Any]:
    """The utterances with the teacher's texts; those without words and those that loop are left out."""
    texts = ((cut, lessons.text(cut.id)) for cut in cuts)
    return [_with_text(cut, text) for cut, text in texts if text.strip() and not loops(text)]


def _with_text(cut: Any, text: str) -> Any:
    recording = cut.recording_id if cut.has_recording else cut.id
    said = SupervisionSegment(id=cut.id, recording_id=recording, start=0.0, duration=cut.duration, text=text)
    return fastcopy(cut, supervisions=[said])


def _joined(cuts: list[Any], student: TimedRecogniser, epoch: int, draw: random.Random) -> Iterator[Joined]:
    windows = lay_out(cuts, "packed", f"{draw.random()}", student.label_tokens, student.most_label_tokens)
    for start in range(0, len(windows), WINDOWS_A_STEP):
        yield Joined(epoch, windows[start : start + WINDOWS_A_STEP])


def losses(steps: Sequence[Step], student: SequenceRecogniser, lessons: Lessons, states: States) -> Iterator[Loss]:
    """What gives each step's loss, () float32; the next step's features are prepared while one is trained on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = None
        for step in steps:
            ready, waiting = waiting, pool.submit(_loss_of, step, student, lessons, states)
            if ready is not None:
                yield ready.result()
        if waiting is not None:
            yield waiting.result()


def _loss_of(step: Step, student: SequenceRecogniser, lessons: Lessons, states: States) -> Loss:
    if isinstance(step, Alone):
        waves = [load_audio(cut, SAMPLING_RATE_HZ) for cut in step.cuts]
        features = student.features(waves, seconds_of(step.cuts, step.window), padding_of(step.window))
        lesson = lessons.read([cut.id for cut in step.cuts])
        return lambda: lesson_loss(student, features, lesson, states)
    waves, texts = map(list, zip(*(heard(window) for window in step.windows), strict=True))
    inputs, targets = cast("TimedRecogniser", student).window_labels(texts)
    joined, device = student.features(waves, FULL_WINDOW_S), student.device
    return lambda: student.loss(joined.to(device), inputs.to(device), targets.to(device))
