"""Which batches of an epoch are trained in 30 s windows, and how such a batch is made."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal, cast

from speech_analogy.errors import ConfigError
from speech_analogy.recognisers.families import RecogniserFamily
from speech_analogy.recognisers.protocol import Recogniser, TimedRecogniser
from speech_analogy.recognisers.windows import FULL_WINDOW_S, Window
from speech_analogy.training.batching import TrainingBatch, make_batch, own_rows
from speech_analogy.training.features import FeatureStore
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.layout import heard, lay_out, unheard_text

Form = Literal["own", "padded", "packed"]
"""Utterances in the window of the options, each alone in 30 s, or joined in windows of 30 s."""


@dataclass(frozen=True)
class PlannedBatch:
    """The utterances of one step and how they are shown."""

    cuts: list[Any]
    form: Form = "own"
    seed: str = ""
    """Of what is drawn within it."""


def plan_batches(batches: list[list[Any]], options: FinetuneOptions, epoch: int | str) -> list[PlannedBatch]:
    """An epoch's batches with their forms: a function of the number of batches, the options and the epoch alone.

    Args:
        epoch: its number; or a name of the part of it that these batches are of.
    """
    seed = f"{options.seed} {epoch} windows"
    draw = random.Random(seed)
    order = list(range(len(batches)))
    draw.shuffle(order)
    rounding = draw.random()  # up or down, so that the mean over many epochs is the share
    packed, both = (int(share * len(batches) + rounding) for share in (options.packed, options.packed + options.padded))
    forms: dict[int, Form] = dict.fromkeys(order[:packed], "packed")
    forms.update(dict.fromkeys(order[packed:both], "padded"))
    return [PlannedBatch(cuts, forms.get(at, "own"), f"{seed} {at}") for at, cuts in enumerate(batches)]


def require_timestamps(family: RecogniserFamily, options: FinetuneOptions) -> None:
    """Raise ConfigError where 30 s windows with time stamps are asked of a family that writes none."""
    for name in ("packed", "padded"):
        value = getattr(options, name)
        if value and not family.timestamps:
            raise ConfigError(
                f"a {family.name} model writes no time stamps, which such windows are labelled with",
                field=f"training.{name}",
                value=value,
                do="set it to 0",
            )


def make_planned(
    planned: PlannedBatch,
    recogniser: Recogniser,
    window: Window,
    store: FeatureStore,
    rank: int = 0,
    processes: int = 1,
) -> TrainingBatch:
    """One process's part of a batch: of its utterances, or of the 30 s windows that they lie in, every n-th."""
    if planned.form == "own":
        return make_batch(planned.cuts, recogniser, window, store, rank, processes)
    timed = cast("TimedRecogniser", recogniser)
    windows = lay_out(planned.cuts, planned.form, planned.seed, timed.label_tokens, timed.most_label_tokens)
    rows, share = own_rows(timed.window_labels([unheard_text(one) for one in windows])[1], rank, processes)
    waveforms, texts = zip(*(heard(windows[row]) for row in rows), strict=True)
    inputs, targets = timed.window_labels(texts)
    return TrainingBatch(timed.features(waveforms, FULL_WINDOW_S), inputs, targets, len(rows), FULL_WINDOW_S, share)
