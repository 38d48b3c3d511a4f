"""Measure every stage of the toolkit on this machine: each in a process of its own, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speech_analogy.benching.findings import MIB, Findings, Machine, Peak, StageFinding
from speech_analogy.benching.stages import MACHINE, STAGES, BenchJob
from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.foundation.machine import VISIBLE_GPUS, cores
from speech_analogy.foundation.progress import bar
from speech_analogy.recognisers.weights import resolve_weights

UTTERANCES = 512  # of noise, where no cuts are given
TIME_SHARES = {  # of the time to measure
    "features": 0.06, "fine-tuning": 0.45, "transcription, torch": 0.15, "transcription, CTranslate2 int8": 0.1,
    "transcription, CTranslate2 float32": 0.1, "synthesis": 0.07, "merging": 0.07,
}  # fmt: skip
COLUMNS = (
    "stage", "utterances/s", "real-time factor", "GB/s", "GFLOP/s", "of peak", "outside", "peak MiB", "",
)  # fmt: skip
COLUMN_GAP = "  "


def bench(
    base: str = "pip:whisper-tiny.en",
    *,
    cuts: str | Path | None = None,
    seconds: float = 60.0,
    threads: int | None = None,
    language: str = "en",
    stages: Sequence[str] = tuple(STAGES),
    progress: bool = True,
) -> Findings:
    """How fast this machine is at each stage, and how close to the peak of its processor; GPUs are not used.

    Args:
        base: weights of a Whisper model (see `resolve_weights`).
        cuts: speech with texts, each at most 30 s; None: noise in the shape of speech (`speech.py`).
        seconds: about how long to measure, all stages together; starting each stage's process takes some 5 s more.
        threads: for torch and CTranslate2; None: as many as the cores.
        stages: names of `STAGES`.

    Raises:
        WeightsUnavailableError, CheckpointError: the base is not available, or broken.
        DataError: the cuts cannot be used, or have no text.
        SpeechAnalogyError: the processor itself cannot be measured.
    """
    from speech_analogy.benching.speech import DESCRIPTION, durations, make_speech
    from speech_analogy.corpora.cuts import cuts_of, text_of
    from speech_analogy.corpora.read import write_cuts

    begin, folder = time.perf_counter(), resolve_weights(base)
    with tempfile.TemporaryDirectory(prefix="speech-analogy-bench-") as temporary:
        scratch = Path(temporary)
        spoken = make_speech(scratch / "speech", durations(UTTERANCES)) if cuts is None else cuts_of(cuts)
        if not all(text_of(cut).strip() for cut in spoken):
            raise DataError("every cut must have a text", file=None if cuts is None else str(cuts))
        write_cuts(spoken, scratch / "cuts.jsonl.gz")
        said = DESCRIPTION if cuts is None else f"{len(spoken)} utterances of {Path(str(cuts)).name}"
        job = BenchJob(
            folder=folder,
            cuts=scratch / "cuts.jsonl.gz",
            scratch=scratch / "work",
            seconds=0.0,
            threads=threads or cores(),
            language=language,
        )
        (scratch / "work").mkdir()
        with bar(1 + len(stages), "bench", "stages", show=progress) as shown:
            first = in_a_process(MACHINE, job)
            if "machine" not in first:
                raise SpeechAnalogyError(f"the processor cannot be measured: {first['missing']}")
            peak = {precision: Peak(**found) for precision, found in first["peak"].items()}
            job = job.model_copy(update={"peak": {name: found.gflops for name, found in peak.items()}})
            shown.update()
            found = []
            for name in stages:
                shown.note(now=name)
                given = job.model_copy(update={"seconds": seconds * TIME_SHARES[name]})
                found.append(StageFinding(**in_a_process(name, given)))
                shown.update()
    return Findings(
        base=base,
        speech=said,
        machine=Machine(**first["machine"]),
        peak=peak,
        stages=found,
        seconds=time.perf_counter() - begin,
    )


def in_a_process(name: str, job: BenchJob) -> dict[str, Any]:
    """What a stage's process reports, or why it failed."""
    threads = {key: str(job.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    waiting = {} if name == "fine-tuning" else {"OMP_WAIT_POLICY": "PASSIVE"}  # as on the command line
    hidden = {VISIBLE_GPUS: ""}  # the peak is the processor's, and so is what is compared with it
    environment = {**os.environ, **threads, **waiting, **hidden, "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "speech_analogy.benching.stages", name, job.model_dump_json()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return {"name": name, "missing": f"failed: {why}"}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def table(found: Findings) -> str:
    """All findings as plain text, without a final newline."""
    machine = found.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    bf16 = "computes in bf16" if machine.bf16 else "no bf16"
    peaks = "; ".join(f"{name} {peak.gflops:.0f} GFLOP/s ({peak.side}²)" for name, peak in found.peak.items())
    rows = [_row(stage) for stage in found.stages]
    widths = [max(len(row[column]) for row in [COLUMNS, *rows]) for column in range(len(COLUMNS))]
    lines = [
        f"{machine.processor}: {machine.cores} cores, {machine.threads} threads, {bf16}, "
        f"{machine.memory_bytes / 2**30:.0f} GiB",
        versions,
        f"matmul peak: {peaks}",
        f"base: {found.base}",
        f"speech: {found.speech}",
        "",
    ]
    for number, row in enumerate([COLUMNS, *rows]):
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:-1], widths[1:-1], strict=True)), row[-1]]
        lines.append(COLUMN_GAP.join(cells).rstrip())
        if number == 0:
            lines.append("─" * (sum(widths) + len(COLUMN_GAP) * (len(widths) - 1)))
    lines += [
        "",
        "Windows are trimmed to the utterance. FLOPs: matrix products, convolutions and attention, three times the",
        "forward pass, padding included, over the whole time of the steps. Outside: the share of it outside forward,",
        "backward and optimiser (waiting for batches, logging).",
        "Peak MiB: resident, of the stage's process with all that it imports.",
        f"It took {found.seconds:.0f} s.",
    ]
    return "\n".join(lines)


def _row(stage: StageFinding) -> tuple[str, ...]:
    if stage.missing:
        return (stage.name, *[""] * (len(COLUMNS) - 2), stage.missing)
    return (
        stage.name,
        _shown(stage.utterances_per_second, ".1f"),
        _shown(stage.real_time_factor, ".4f"),
        _shown(stage.gigabytes_per_second, ".2f"),
        _shown(stage.gflops, ".0f"),
        _shown(stage.peak_share, ".1%"),
        _shown(stage.outside_share, ".1%"),
        _shown(None if stage.peak_bytes is None else stage.peak_bytes / MIB, ".0f"),
        stage.note,
    )


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form).replace("%", " %")
