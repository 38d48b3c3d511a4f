"""Teach a model that was tuned in trimmed windows to write the same in 30 s windows: `shorten` turned round.

A model that is fine-tuned in trimmed windows writes a little worse where audio is padded to 30 s, which is what every
other decoder does. Here a copy of it (the student) learns, mostly in 30 s windows, the decoder's hidden states that the
model itself (the teacher, frozen) has in its own window; a share of the batches stays in that window, so that it writes
there what it wrote before. Of several utterances in one window the teacher has no states: such windows are labelled
with what it wrote, with and without time stamps. A few minutes of speech and one epoch do it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lhotse import CutSet

from speech_analogy.errors import CheckpointError
from speech_analogy.recognisers.devices import AUTO
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import Window
from speech_analogy.training.distilling.learning import Distilled, distil
from speech_analogy.training.distilling.options import WidenOptions
from speech_analogy.training.distilling.steps import Direction


def widen(
    model: str | Path,
    cuts: str | Path | CutSet,
    out: str | Path,
    options: WidenOptions | None = None,
    *,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> Distilled:
    """Distil `model` in its own trimmed window into a copy of it in 30 s windows; texts of the cuts are not looked at.

    What provenance says of the model stays, and what it learned here is added: the weights are the model's still.

    Args:
        model: weights by name (see `resolve_weights`) that were tuned in trimmed windows.
        cuts: cuts, their path, or a folder of audio files; each at most 30 s, like what the model is for.
        out: the folder to make.
        device: see `find_device`.

    Raises:
        CheckpointError: `out` exists, the model cannot be loaded, or was tuned in 30 s windows.
        DataError: the audio cannot be used.
    """
    options, folder = options or WidenOptions(), resolve_weights(str(model))
    own = native_window(folder)
    if own == "full":
        raise CheckpointError(
            "must be a model that was tuned in trimmed windows", file=folder, value="30 s windows", do="use it as it is"
        )

    def record(before: dict[str, Any], learned: dict[str, Any], fingerprint: str) -> dict[str, Any]:
        return {**before, "widened": {**learned, "model": fingerprint}}

    def student(batches: int, epoch: int) -> Sequence[Window]:
        draw = random.Random(f"{options.seed} {epoch} widen")
        trimmed = set(draw.sample(range(batches), round(options.trimmed_share * batches)))
        return [own if at in trimmed else "full" for at in range(batches)]

    direction = Direction("widening", own, student, record, options.alone, options.joined)
    return distil(folder, cuts, Path(out), options, direction, device=device, progress=progress)
