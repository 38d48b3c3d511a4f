"""Distil a model in full windows into one for trimmed windows, from audio alone: no labels, a few minutes.

An untouched Whisper repeats itself in trimmed windows. Here a copy of it (the student) learns, in trimmed windows,
the decoder's hidden states that the model itself (the teacher, frozen) has in full 30 s windows, while both are given
the transcript that the teacher wrote. After FUTO's audio-context fine-tuning, github.com/futo-org/whisper-acft; there
the transcripts are the corpus's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lhotse import CutSet

from speech_analogy.merging.naming import known_as
from speech_analogy.recognisers.devices import AUTO
from speech_analogy.recognisers.windows import Window, window_record
from speech_analogy.training.distilling.learning import Distilled, distil
from speech_analogy.training.distilling.options import ShortenOptions
from speech_analogy.training.distilling.steps import Direction


def shorten(
    model: str | Path,
    cuts: str | Path | CutSet,
    out: str | Path,
    options: ShortenOptions | None = None,
    *,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> Distilled:
    """Distil `model` in full windows into a copy of it in trimmed windows; texts of the cuts are not looked at.

    Killed and started again, it goes on where it was: the teacher's states and the student's are kept in a folder
    beside `out` until it is finished.

    Args:
        model: weights by name (see `resolve_weights`) that work well in full windows.
        cuts: cuts, their path, or a folder of audio files; each at most 30 s, of any content.
        out: the folder to make.
        device: see `find_device`.

    Raises:
        CheckpointError: `out` exists, the model cannot be loaded, or has no full window to shorten.
        DataError: the audio cannot be used.
    """
    options = options or ShortenOptions()
    window = options.window

    def record(before: dict[str, Any], learned: dict[str, Any], own: str) -> dict[str, Any]:
        return {
            "schema": 1,
            "base": before.get("base") or known_as(model),
            "base_fingerprint": own,
            "window": window_record(window),
            "language": options.language,
            "shortened": {name: learned[name] for name in ("utterances", "hours", "digest")},
            "hyper_parameters": learned["hyper_parameters"],
            "steps": learned["steps"],
        }

    def student(batches: int, epoch: int) -> Sequence[Window]:
        return [window] * batches

    direction = Direction("shortening", "full", student, record)
    return distil(model, cuts, Path(out), options, direction, device=device, progress=progress)
