"""What a run will cost, before it starts: seconds on one core, from rates measured on one machine.

The rates are of whisper-tiny.en on one core of an AMD EPYC (Zen 4, 2.6 GHz), fine-tuning in bf16; they order the
stages. For the ETA they are multiplied by the size of the base and by this machine's own pace, and then corrected by
the stages that have finished.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lhotse import CutSet

from speech_analogy.adaptation.plan.machine_pace import REFERENCE, MachinePace
from speech_analogy.adaptation.plan.stage import Resources, Stage
from speech_analogy.adaptation.recipe_options import RecipeWidening
from speech_analogy.foundation.page.wording import duration
from speech_analogy.recognisers.sizes import parameters_of
from speech_analogy.recognisers.windows import FULL_WINDOW_S, Window, trimmed_settings, window_kind, window_seconds
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.layout import PAUSE_S

FINETUNE_S = 0.028  # a second of window and epoch
DECODE_TRIMMED_S = 0.018  # a second of window
DECODE_FULL_S = 0.02
CHANNEL_S = 0.02  # per utterance
SPOKEN_S, SPOKEN_CHARACTER_S = 0.4, 0.05  # a spoken text, and each of its characters
# Of the time of torch in float32.
DECODERS = {("ctranslate2", "int8"): 0.45, ("ctranslate2", "float32"): 0.75, ("torch", "bf16"): 0.55}
TINY_BYTES = 151_000_000  # whisper-tiny's weights in fp32
FP32_BYTES = 4
TRAINED = ("finetune", "trial", "widened")  # kinds of stages that train
PROCESS_BYTES = 1_500_000_000  # a worker with torch and transformers, at work on short utterances
TRAINING_COPIES, DECODING_COPIES = 6, 4  # of the base's fp32 weights: gradients, moments; corners of a combination
FILLED = 0.8  # of packed windows
START_S = 3.0  # a stage's model; imports once per worker
# Seconds of synthesis a second of speech.
ENGINE_S = {"hibari": 0.012, "piper": 0.09, "flite": 0.015, "espeak-ng": 0.01}
ENGINE_OTHER_S = 1.0


@dataclass(frozen=True)
class Size:
    """How much speech a set of cuts is."""

    utterances: int
    duration_s: float
    trimmed_s: float  # of trimmed windows

    @classmethod
    def of(cls, cuts: CutSet) -> Size:
        durations = [cut.duration for cut in cuts]
        return cls(len(durations), sum(durations), sum(window_seconds(d, "trimmed") for d in durations))

    @classmethod
    def of_texts(cls, texts: list[str]) -> Size:
        """As much speech as these texts will be, spoken."""
        durations = [SPOKEN_S + SPOKEN_CHARACTER_S * len(text) for text in texts]
        return cls(len(durations), sum(durations), sum(window_seconds(d, "trimmed") for d in durations))

    def times(self, copies: float) -> Size:
        return Size(round(self.utterances * copies), self.duration_s * copies, self.trimmed_s * copies)

    def plus(self, other: Size) -> Size:
        return Size(
            self.utterances + other.utterances,
            self.duration_s + other.duration_s,
            self.trimmed_s + other.trimmed_s,
        )

    def window_s(self, window: Window) -> float:
        """Of one window an utterance; with settings of its own a trimmed one is rounded up by half a step."""
        settings = trimmed_settings(window)
        if settings is None:
            return self.full_s
        if window == "trimmed":
            return self.trimmed_s
        around = settings.slack_s + settings.step_s / 2
        return max(self.duration_s + around * self.utterances, settings.minimum_s * self.utterances)

    @property
    def full_s(self) -> float:
        """Of 30 s windows, one an utterance."""
        return FULL_WINDOW_S * self.utterances

    @property
    def packed_s(self) -> float:
        """Of 30 s windows that hold several."""
        return (self.duration_s + sum(PAUSE_S) / 2 * self.utterances) / FILLED


NOTHING = Size(0, 0.0, 0.0)


def finetune_cost(size: Size, epochs: int, training: FinetuneOptions) -> float:
    """Seconds on one core."""
    own = 1.0 - training.packed - training.padded
    window_s = own * size.window_s(training.window) + training.packed * size.packed_s + training.padded * size.full_s
    return START_S + FINETUNE_S * epochs * window_s


def widen_cost(widen: RecipeWidening, taught: Size) -> float:
    """Seconds on one core: as a fine-tuning in 30 s windows.

    Args:
        taught: the utterances.
    """
    window_s = (1 - widen.trimmed_share) * widen.alone * taught.full_s + widen.joined * taught.packed_s
    return START_S + FINETUNE_S * widen.epochs * window_s


def decode_cost(size: Size, window: Window) -> float:
    """Seconds on one core."""
    return START_S + size.window_s(window) * (DECODE_TRIMMED_S if window_kind(window) == "trimmed" else DECODE_FULL_S)


def sum_of(sizes: Iterable[Size]) -> Size:
    """All of them together."""
    total = NOTHING
    for size in sizes:
        total = total.plus(size)
    return total


def as_decoded(stage: Stage) -> Stage:
    """A stage whose cost is that of decoding in torch in float32, at what its own decoder takes."""
    options = stage.record.get("evaluation") or {}
    share = DECODERS.get((options.get("backend", ""), options.get("compute", "")), 1.0)
    return replace(stage, cost_s=START_S + share * (stage.cost_s - START_S)) if share != 1.0 else stage


def memory_of(stage: Stage, base_bytes: int) -> Resources:
    """What a stage asks of a machine: one core, a GPU if a model computes, and memory by the size of the base."""
    if not stage.params.uses_a_model:
        return Resources(memory_bytes=PROCESS_BYTES)
    copies = TRAINING_COPIES if stage.kind in TRAINED else DECODING_COPIES
    return Resources(gpu=True, memory_bytes=PROCESS_BYTES + copies * base_bytes)


def synthesis_cost(size: Size, engines: tuple[str, ...]) -> float:
    """Seconds on one core for as much speech as `size`, spread evenly over the engines' voices.

    Args:
        engines: as in a recipe, `engine` or `engine:voice+voice`; one without named voices counts as one voice.
    """
    rates: list[float] = []
    for engine, _, voices in (one.partition(":") for one in engines):
        rates += [ENGINE_S.get(engine.strip(), ENGINE_OTHER_S)] * len(voices.split("+"))
    return START_S + size.duration_s * sum(rates) / len(rates)


def weights_bytes(base: str) -> int:
    """Of a recogniser's weights in float32; 0 where its size is not known."""
    return FP32_BYTES * (parameters_of(base) or 0)


def cost_of(stages: Iterable[Stage], base_bytes: int = 0, pace: MachinePace = REFERENCE) -> float:
    """Seconds on one core: what the model does takes as much longer as it is larger than whisper-tiny.

    Args:
        base_bytes: of the base's weights; 0 is taken as whisper-tiny's.
        pace: of the machine.
    """
    return sum(stage.cost_s * _factor(stage, base_bytes, pace) for stage in stages)


def _factor(stage: Stage, base_bytes: int, pace: MachinePace) -> float:
    size = max(1.0, base_bytes / TINY_BYTES) if stage.params.uses_a_model else 1.0
    return size * (pace.training if stage.kind in TRAINED else pace.decoding)


def urgencies(stages: Sequence[Stage]) -> dict[str, float]:
    """Seconds of the longest chain of stages that starts at each: what holds up most goes first."""
    longest: dict[str, float] = {}
    behind = {stage.name: 0.0 for stage in stages}
    for stage in reversed(stages):  # every stage stands behind the ones it needs
        longest[stage.name] = stage.cost_s + behind[stage.name]
        for need in stage.needs:
            if need in behind:
                behind[need] = max(behind[need], longest[stage.name])
    return longest


def wall_clock_of(
    stages: Sequence[Stage],
    workers: int,
    base_bytes: int = 0,
    begun: Mapping[str, float] | None = None,
    pace: MachinePace = REFERENCE,
) -> float:
    """Seconds until this many processes have done all of them, the most urgent ready stage first.

    Args:
        stages: what is left, each behind the ones it needs; needs that are not among them are done.
        base_bytes, pace: see `cost_of`.
        begun: stages that are being worked on, and how many seconds of their cost are behind them.
    """
    begun = begun or {}
    urgency = urgencies(stages)
    waiting = sorted(stages, key=lambda stage: (stage.name in begun, urgency[stage.name]), reverse=True)
    undone, now = {stage.name for stage in stages}, 0.0
    running: list[tuple[float, str]] = []  # when it will be done, and its name
    while undone:
        for stage in [one for one in waiting if undone.isdisjoint(one.needs)][: workers - len(running)]:
            waiting.remove(stage)
            left_s = max(0.0, cost_of([stage], base_bytes, pace) - begun.get(stage.name, 0.0))
            heapq.heappush(running, (now + left_s, stage.name))
        now, done = heapq.heappop(running)
        undone.remove(done)
    return now


def rates(base_bytes: int | Iterable[int], pace: MachinePace = REFERENCE) -> str:
    """What the estimates are made of, in words.

    Args:
        base_bytes: of the base's weights, or of several bases'; 0 where they are not known.
    """
    given = [base_bytes] if isinstance(base_bytes, int) else list(base_bytes)
    known = [f"{max(1.0, size / TINY_BYTES):.1f}" for size in sorted(filter(None, given))]
    factors = []
    if known:
        span = known[0] if known[0] == known[-1] else f"{known[0]} to {known[-1]}"
        factors.append(f"times {span} for this base's size")
    if pace.measured:
        factors.append(f"times {pace.training:.1f} (training) and {pace.decoding:.1f} for this machine's speed")
    unknown = "" if all(given) else "; how large this base is, is not known here: a larger one takes longer"
    gpu = "" if pace.measured else "; GPU speed is not modelled"
    return ", ".join(["rates of whisper-tiny.en on a Zen 4 server", *factors]) + unknown + gpu


clock = duration
