"""How much audio the encoder sees: the whole 30 s that Whisper pads to, or a window trimmed to the utterance."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BeforeValidator, Field

from speech_analogy.foundation.options import Options

Padding = Literal["silence", "noise", "repeat"]
"""What follows the speech: zeros; white noise as loud as the utterance's quietest frames; its end, back and forth."""

SAMPLING_RATE_HZ = 16_000
FULL_WINDOW_S = 30.0
TRIMMED_SLACK_S = 0.5  # silence kept after the utterance
TRIMMED_MINIMUM_S = 1.5
TRIMMED_STEP_S = 0.5  # utterances whose windows are equal share a batch
ENCODER_FRAME_S = 0.02
FLOOR_FRAME_S = 0.02  # loudness is taken frame by frame
FLOOR_PERCENTILE = 10.0  # of the frames' loudness: what there is between the words
REPEATED_S = 0.1  # of the utterance's end


class TrimmedWindow(Options):
    """How a trimmed window is laid around an utterance."""

    slack_s: float = Field(default=TRIMMED_SLACK_S, ge=0, le=FULL_WINDOW_S, description="kept after the utterance")
    minimum_s: float = Field(default=TRIMMED_MINIMUM_S, gt=0, le=FULL_WINDOW_S, multiple_of=ENCODER_FRAME_S)
    step_s: float = Field(
        default=TRIMMED_STEP_S, gt=0, le=FULL_WINDOW_S, multiple_of=ENCODER_FRAME_S, description="rounded up to it"
    )
    padding: Padding = Field(default="silence", description="what follows the speech: silence, noise or repeat")


DEFAULT_TRIMMED = TrimmedWindow()


def _one_form(value: Any) -> Any:
    """The default settings are called `trimmed`, so that what depends on a window has one name for them."""
    if isinstance(value, Mapping):
        value = TrimmedWindow.parse(value)
    if isinstance(value, str) and value not in ("trimmed", "full"):
        raise ValueError("must be trimmed, full, or the settings of a trimmed window")
    return "trimmed" if value == DEFAULT_TRIMMED else value


Window: TypeAlias = Annotated[Literal["trimmed", "full"] | TrimmedWindow, BeforeValidator(_one_form)]
"""`full` is 30 s, `trimmed` is `TrimmedWindow()`."""


def window_kind(window: Window) -> Literal["trimmed", "full"]:
    """The window's kind, whatever its settings."""
    return "full" if window == "full" else "trimmed"


def trimmed_settings(window: Window) -> TrimmedWindow | None:
    """The settings of a trimmed window, None for the full one."""
    if window == "full":
        return None
    return DEFAULT_TRIMMED if window == "trimmed" else window


def window_record(window: Window) -> str | dict[str, Any]:
    """As recorded in `provenance.json`: its name, or what differs from the default settings."""
    return window if isinstance(window, str) else window.model_dump(exclude_defaults=True) or "trimmed"


def window_of_record(record: Any) -> Window:
    """The window that `window_record` recorded; the full one where there is no record.

    Raises:
        ConfigError: settings that this version does not know.
    """
    if isinstance(record, Mapping):
        found = TrimmedWindow.parse(record)
        return "trimmed" if found == DEFAULT_TRIMMED else found
    return "trimmed" if record == "trimmed" else "full"


def window_seconds(duration_s: float, window: Window) -> float:
    """The window of an utterance, in seconds; it depends on this utterance alone, never on its batch.

    Trimmed: duration + slack, rounded up to a whole step, at least the minimum and at most 30 s.
    """
    settings = trimmed_settings(window)
    if settings is None:
        return FULL_WINDOW_S
    steps = math.ceil((duration_s + settings.slack_s) / settings.step_s - 1e-9)
    return min(max(steps * settings.step_s, settings.minimum_s), FULL_WINDOW_S)


def padding_of(window: Window) -> Padding:
    """What follows the speech in this window."""
    settings = trimmed_settings(window)
    return "silence" if settings is None else settings.padding


def pad(waveform: np.ndarray, samples: int, padding: Padding) -> np.ndarray:
    """A waveform with what follows it, cut to the window: float32 (samples,), the same for the same waveform.

    Args:
        waveform: float32, mono, 16 kHz, (any number of samples,).
    """
    spoken = waveform[:samples]
    padded = np.zeros(samples, dtype=np.float32)
    padded[: len(spoken)] = spoken
    missing = samples - len(spoken)
    if missing and padding == "noise":
        generator = np.random.default_rng(zlib.crc32(np.ascontiguousarray(spoken).tobytes()))
        padded[len(spoken) :] = _floor(spoken) * generator.standard_normal(missing, dtype=np.float32)
    elif missing and padding == "repeat" and len(spoken) > 1:
        end = spoken[-round(REPEATED_S * SAMPLING_RATE_HZ) :]
        padded[len(spoken) :] = np.pad(end, (0, missing), mode="reflect")[len(end) :]
    return padded


def _floor(waveform: np.ndarray) -> float:
    """Root mean square of the quiet frames."""
    size = round(FLOOR_FRAME_S * SAMPLING_RATE_HZ)
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)  # (frames, samples)
    if not len(frames):
        return 0.0
    return float(np.percentile(np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)), FLOOR_PERCENTILE))
