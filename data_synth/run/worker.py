"""One batch of clips: spoken, judged, retried, stored, recorded in ledger rows. What a worker process runs.

Light to import (no torch, no lhotse), for every spawned worker imports it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_synth.audio.encode import Storage, encode, resample
from data_synth.channel.chain import apply_channel
from data_synth.engines import Engine, Failure, Outcome, Utterance, load_engine
from data_synth.gates.judge import GateOptions, judge
from data_synth.plan.attempt import GateRow, LedgerRow
from data_synth.plan.clip_plan import ClipPlan, ClipWork, channel_seed
from data_synth.plan.variants import as_variant
from data_synth.store.clip_files import clip_path
from data_synth.store.rejects import store_rejected
from speech_analogy.errors import one_line
from speech_analogy.foundation.digests import sha256
from speech_analogy.foundation.files import write_whole

DURATION_DIGITS = 6  # decimals of a second
GATE_DIGITS = 6  # decimals of a gate's number


@dataclass(frozen=True)
class ClipSettings:
    """What holds for every clip of a folder."""

    out: Path
    gates: GateOptions | None
    storage: Storage
    sampling_rate: int
    keep_rejected: bool = False


@dataclass(frozen=True)
class ClipJob:
    """A batch for one engine: plans, each with the attempt to begin at; `once`: nothing is tried again."""

    engine: str
    work: tuple[tuple[ClipPlan, int], ...]
    settings: ClipSettings
    once: bool = False


def run_job(job: ClipJob) -> list[LedgerRow]:
    """Make the clips of one batch, with retries. Clips are on disk before their rows are returned.

    Raises:
        OSError: a clip cannot be written (the disk is full).
        SynthesisError: the engine cannot be loaded.
    """
    rows: list[LedgerRow] = []
    work: ClipWork = job.work
    while work:
        made, work = judge_round(job, work, speak_round(job, work))
        rows += made
    return rows


def speak_round(job: ClipJob, work: ClipWork) -> list[Outcome]:
    """What the engine makes of one round of attempts.

    What shapes clips afterwards is imported here, by the thread that speaks: two threads that import parts of SciPy for
    the first time at once, the engine's and the judge's, may each see the other's half done.

    Raises:
        SynthesisError: the engine cannot be loaded.
    """
    if any(plan.channel is not None or plan.variant for plan, _ in work):
        importlib.import_module("scipy.signal")
    return _speak(load_engine(job.engine), [_utterance(plan, attempt) for plan, attempt in work])


def judge_round(job: ClipJob, work: ClipWork, outcomes: Sequence[Outcome]) -> tuple[list[LedgerRow], ClipWork]:
    """Judge and store what was made in one round; returns its rows, and the attempts of the next round.

    Raises:
        OSError: a clip cannot be written (the disk is full).
    """
    made = [
        (plan, make_row(plan, attempt, outcome, job.settings))
        for (plan, attempt), outcome in zip(work, outcomes, strict=True)
    ]
    again = [(plan, attempt) for plan, row in made if (attempt := plan.after(row)) is not None and not job.once]
    return [row for _, row in made], again


def _utterance(plan: ClipPlan, attempt: int) -> Utterance:
    return Utterance(plan.spoken, plan.speaks, plan.seeds[attempt], plan.parameters)


def _speak(engine: Engine, batch: Sequence[Utterance]) -> list[Outcome]:
    """Outcomes of a batch; an engine that raises, or answers for too few, is asked one by one."""
    try:
        outcomes = engine.synthesize(batch)
        if len(outcomes) == len(batch):
            return outcomes
        reason = f"{len(outcomes)} outcomes for {len(batch)} utterances"
    except Exception as error:  # whatever an engine does, it is recorded for the clip, and the run goes on
        reason = one_line(error)
    if len(batch) == 1:
        return [Failure(reason)]
    return [outcome for utterance in batch for outcome in _speak(engine, [utterance])]


def make_row(plan: ClipPlan, attempt: int, outcome: Outcome, settings: ClipSettings) -> LedgerRow:
    """Judge one outcome, store the clip if it is kept, and record the result."""
    row = LedgerRow(
        key=plan.key(attempt),
        text_id=plan.text_id,
        text=plan.text,
        spoken=None if plan.spoken == plan.text else plan.spoken,
        domain=plan.domain,
        engine=plan.engine,
        voice=plan.voice,
        revision=plan.revision,
        parameters=plan.parameters,
        seed=plan.seeds[attempt],
        attempt=attempt,
        status="rejected",
    )
    if isinstance(outcome, Failure):
        return row.model_copy(update={"reason": f"engine: {outcome.reason}"})
    samples = as_variant(outcome.samples, outcome.rate, plan.variant)
    verdict = judge(samples, outcome.rate, plan.spoken, settings.gates)
    gates = {
        name: GateRow(value=_rounded(reading.value), minimum=reading.minimum, maximum=reading.maximum)
        for name, reading in verdict.readings.items()
    }
    if verdict.reason is not None:
        if settings.keep_rejected:
            store_rejected(
                settings.out, row.key, verdict.samples, outcome.rate, settings.sampling_rate, settings.storage
            )
        return row.model_copy(update={"reason": verdict.reason, "gates": gates})
    samples = resample(verdict.samples, outcome.rate, settings.sampling_rate)
    if plan.channel is not None:
        samples = apply_channel(samples, settings.sampling_rate, plan.channel, channel_seed(row.seed))
    content = encode(samples, settings.sampling_rate, settings.storage)
    path = clip_path(row.key, settings.storage)
    write_whole(settings.out / path, content, lasting=False)  # a clip that is gone is made again
    return row.model_copy(
        update={
            "status": "kept",
            "gates": gates,
            "channel": plan.channel and {"is": plan.channel.describe(), **plan.channel.drawn(channel_seed(row.seed))},
            "path": path,
            "duration_s": round(len(samples) / settings.sampling_rate, DURATION_DIGITS),
            "sha256": sha256(content),
        }
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, GATE_DIGITS)
