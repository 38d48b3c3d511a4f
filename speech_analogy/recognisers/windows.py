"""How much audio the encoder sees: the whole 30 s that Whisper pads to, or a window trimmed to the utterance."""

from __future__ import annotations

import math
from typing import Literal

Window = Literal["trimmed", "full"]

SAMPLING_RATE_HZ = 16_000
FULL_WINDOW_S = 30.0
TRIMMED_SLACK_S = 0.5  # silence kept behind the utterance
TRIMMED_MINIMUM_S = 1.5
TRIMMED_STEP_S = 0.5  # utterances whose windows are equal share a batch


def window_seconds(duration_s: float, window: Window) -> float:
    """The window of an utterance, in seconds; it depends on this utterance alone, never on its batch.

    Trimmed: duration + slack, rounded up to a whole step, at least the minimum and at most 30 s.
    """
    if window == "full":
        return FULL_WINDOW_S
    steps = math.ceil((duration_s + TRIMMED_SLACK_S) / TRIMMED_STEP_S - 1e-9)
    return min(max(steps * TRIMMED_STEP_S, TRIMMED_MINIMUM_S), FULL_WINDOW_S)
