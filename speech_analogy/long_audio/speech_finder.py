"""Where somebody speaks: Silero's voice activity detection as a stream, and its cutting of audio into segments."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from data_synth.audio.samples import Samples
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.options import Options
from speech_analogy.recognisers.windows import FULL_WINDOW_S, SAMPLING_RATE_HZ

FRAME_SAMPLES = 512  # 32 ms, as Silero was trained
CONTEXT_SAMPLES = 64  # of the frame before
FRAMES_AT_ONCE = 512  # in one call of the network
STATE_SHAPE = (1, 1, 128)
MODEL_FILE = "silero_vad_16k_sequence.onnx"  # of the package silero-vad
SMOOTHED_FRAMES = 5  # a long stretch is cut where the mean of so many is lowest
FRAME_S = FRAME_SAMPLES / SAMPLING_RATE_HZ


class SpeechFinderOptions(Options):
    """How audio is cut into segments; the defaults were chosen on held-out training speakers of speechocean762."""

    threshold: float = Field(default=0.5, gt=0, lt=1, description="probability of speech that begins a segment")
    margin: float = Field(default=0.15, ge=0, lt=1, description="less than the threshold by this counts as silence")
    silence_s: float = Field(default=0.8, gt=0, description="of silence end a segment")
    pad_s: float = Field(default=0.4, ge=0, description="kept before and after a segment")
    least_s: float = Field(default=0.1, ge=0, description="of speech; what is shorter is none")
    longest_s: float = Field(
        default=FULL_WINDOW_S, gt=1, le=FULL_WINDOW_S, description="of a segment, with its padding"
    )
    join: bool = Field(default=False, description="segments that together fit into one are one, pauses included")


@dataclass(frozen=True)
class SpeechSegment:
    """A stretch of speech.

    Attributes:
        start_s: of the recording.
        samples: float32 (samples,), 16 kHz, with some silence on both sides.
    """

    start_s: float
    samples: Samples

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.samples) / SAMPLING_RATE_HZ


class SileroStream:
    """Silero VAD (https://github.com/snakers4/silero-vad, MIT), fed piece by piece.

    Raises:
        ConfigError: its package or onnxruntime is not installed.
    """

    def __init__(self) -> None:
        self._session = _session()
        self._hidden, self._cell = np.zeros(STATE_SHAPE, np.float32), np.zeros(STATE_SHAPE, np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)

    def __call__(self, samples: Samples) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The probability of speech in each frame, (frames,) float32; `samples` must be whole frames."""
        frames = samples.reshape(-1, FRAME_SAMPLES)
        found = [np.zeros(0, np.float32)]
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            block = frames[start : start + FRAMES_AT_ONCE]
            contexts = np.concatenate([self._context[None], block[:-1, -CONTEXT_SAMPLES:]])
            self._context = block[-1, -CONTEXT_SAMPLES:].copy()
            values, self._hidden, self._cell = self._session.run(
                ["speech_probs", "hn", "cn"],
                {"input": np.concatenate([contexts, block], axis=1), "h": self._hidden, "c": self._cell},
            )
            found.append(np.asarray(values, np.float32).reshape(-1))
        return np.concatenate(found)


def _session() -> Any:
    found = importlib.util.find_spec("silero_vad")  # not imported: that would set torch to one thread
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    if not folders or importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError(
            "finding speech needs the packages silero-vad and onnxruntime", do="pip install silero-vad onnxruntime"
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 4
    file = Path(folders[0]) / "data" / MODEL_FILE
    return onnxruntime.InferenceSession(str(file), sess_options=options, providers=["CPUExecutionProvider"])


def speech_segments(blocks: Iterable[Samples], options: SpeechFinderOptions | None = None) -> Iterator[SpeechSegment]:
    """The segments of a recording in order, as soon as each has ended; memory is that of the longest segment.

    Args:
        blocks: float32 mono 16 kHz, of any lengths, one after the other.
    """
    how = options or SpeechFinderOptions()
    found = _Cutter(how).cut(blocks)
    return _joined(found, how.longest_s) if how.join else found


class _Cutter:
    """Hysteresis over Silero's probabilities; holds the audio from the segment that has begun on."""

    def __init__(self, options: SpeechFinderOptions) -> None:
        self._options = options
        self._pad = round(options.pad_s / FRAME_S)  # all in frames from here on
        self._silence = max(round(options.silence_s / FRAME_S), 1)
        self._least = round(options.least_s / FRAME_S)
        self._longest = int(options.longest_s / FRAME_S) - 2 * self._pad
        self._held = np.zeros(0, np.float32)  # samples from the frame `_from` on
        self._from = 0
        self._begun: int | None = None  # the first frame of the speech that goes on
        self._spoke: list[float] = []  # its frames' probabilities
        self._quiet = 0  # frames of silence at its end
        self._free = 0  # the first frame that belongs to no segment yet

    def cut(self, blocks: Iterable[Samples]) -> Iterator[SpeechSegment]:
        vad, rest, frame = SileroStream(), np.zeros(0, np.float32), 0
        for block in blocks:
            rest = np.concatenate([rest, block])
            whole = len(rest) // FRAME_SAMPLES * FRAME_SAMPLES
            taken, rest = rest[:whole], rest[whole:]
            self._held = np.concatenate([self._held, taken])
            for probability in vad(taken).tolist():
                yield from self._step(frame, probability)
                frame += 1
            self._forget(frame)
        if len(rest):
            self._held = np.concatenate([self._held, rest])
            last = np.concatenate([rest, np.zeros(FRAME_SAMPLES - len(rest), np.float32)])
            yield from self._step(frame, float(vad(last)[0]))
            frame += 1
        if self._begun is not None:
            yield from self._segment(self._begun, frame - self._quiet, frame)

    def _step(self, frame: int, probability: float) -> Iterator[SpeechSegment]:
        if self._begun is None:
            if probability >= self._options.threshold:
                self._begun, self._spoke, self._quiet = frame, [probability], 0
            return
        self._spoke.append(probability)
        if probability >= self._options.threshold:
            self._quiet = 0
        elif probability < self._options.threshold - self._options.margin or self._quiet:
            self._quiet += 1
        if self._quiet >= self._silence:
            yield from self._segment(self._begun, frame + 1 - self._quiet, frame + 1)
            self._begun = None
        elif len(self._spoke) >= self._longest:
            cut = self._weakest()
            yield from self._segment(self._begun, self._begun + cut, self._begun + cut)
            self._begun, self._spoke = self._begun + cut, self._spoke[cut:]
            self._quiet = min(self._quiet, len(self._spoke))

    def _weakest(self) -> int:
        """Where the later half of too long a segment is least like speech; in frames from its start."""
        half = len(self._spoke) // 2
        later = np.convolve(self._spoke[half:], np.ones(SMOOTHED_FRAMES) / SMOOTHED_FRAMES, mode="valid")
        return half + int(later.argmin()) + SMOOTHED_FRAMES // 2

    def _segment(self, first: int, last: int, known: int) -> Iterator[SpeechSegment]:
        """Frames [first, last) with their padding, as far as it is `known` and nobody else's."""
        if last - first < self._least:
            return
        start, end = max(first - self._pad, self._free), min(last + self._pad, known)
        self._free = end
        samples = self._held[(start - self._from) * FRAME_SAMPLES : (end - self._from) * FRAME_SAMPLES]
        yield SpeechSegment(start * FRAME_S, samples.copy())

    def _forget(self, frame: int) -> None:
        """Drop the samples that no segment can need any more."""
        needed = (frame if self._begun is None else self._begun) - self._pad
        dropped = max(needed - self._from, 0)
        if dropped:
            self._held, self._from = self._held[dropped * FRAME_SAMPLES :].copy(), self._from + dropped


def _joined(segments: Iterable[SpeechSegment], longest_s: float) -> Iterator[SpeechSegment]:
    """Neighbours that together last at most `longest_s` as one, with zeros for the pause between them."""
    waiting: SpeechSegment | None = None
    for segment in segments:
        if waiting is None:
            waiting = segment
        elif segment.end_s - waiting.start_s <= longest_s:
            pause = round((segment.start_s - waiting.end_s) * SAMPLING_RATE_HZ)
            silence = np.zeros(max(pause, 0), np.float32)
            waiting = SpeechSegment(waiting.start_s, np.concatenate([waiting.samples, silence, segment.samples]))
        else:
            yield waiting
            waiting = segment
    if waiting is not None:
        yield waiting
