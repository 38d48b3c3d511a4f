"""What fine-tuning and transcription cost against the number of utterances and against their duration, and how much
memory they take.

    pip install -e '.[test]'
    python tests/benchmarks/finetuning/scaling.py --base pip:whisper-tiny.en --out SCALING.md

Speech is noise in its shape (speech_analogy/benching/speech.py). First the number: the same `--utterances` durations of
a spoken command once, 2, 4 and 8 times over. Then the duration: `--of-each` utterances of each of several durations.
Fine-tuning is one epoch with the defaults; its time runs from the first batch, audio and features among it, to the last
step. Transcription is greedy, by torch, in trimmed windows, audio and features among it; the untuned base hears words
in noise, at most some 8 tokens a second. Every point is a process of its own; memory is its peak resident set. The
plot goes beside the table, with the suffix .svg. The exponent is the slope of log time against log size, by least
squares: 1 is linear, less where a start is spread over more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from plot import Panel, write_plot
from systems import OURS, SYSTEMS, Task

TIMES = (1, 2, 4, 8)
DURATIONS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 22.0, 30.0)
BATCH = 16
LEARNING_RATE = 1e-5
MIB = 1 << 20
FINETUNING, TRANSCRIPTION = "fine-tuning", "transcription"
JOBS = (FINETUNING, TRANSCRIPTION)


@dataclass(frozen=True)
class Point:
    """One size: seconds and the peak resident set of each job."""

    size: float
    utterances: int
    speech_s: float
    seconds: dict[str, float]
    bytes: dict[str, int]


def child(told: str) -> None:
    """One job in this process; prints one line of JSON."""
    given = json.loads(told)
    import torch

    from speech_analogy.benching.machine import peak_bytes

    torch.set_num_threads(given["threads"])
    if given["job"] == FINETUNING:
        task = Task(
            OURS, given["model"], given["cuts"], given["out"], BATCH, LEARNING_RATE, given["threads"]
        )  # fmt: skip
        seconds = SYSTEMS[OURS](task).loop_s
    else:
        from speech_analogy.corpora.cuts import cuts_of
        from speech_analogy.evaluation.transcribe import transcribe
        from speech_analogy.recognisers.decoding import DecodingOptions
        from speech_analogy.recognisers.loading import load_recogniser

        recogniser, cuts = load_recogniser(given["model"]), cuts_of(given["cuts"])
        begin = time.perf_counter()
        transcribe(cuts, recogniser, decoding=DecodingOptions(window="trimmed"), progress=False)
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "bytes": peak_bytes()}))


def in_a_process(job: str, cuts: Path, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own, whose libraries see the same number of threads."""
    threads = {key: str(options.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = {**os.environ, **threads, "TOKENIZERS_PARALLELISM": "false"}
    told = {
        "job": job, "model": str(options.model), "cuts": str(cuts), "out": str(out), "threads": options.threads
    }  # fmt: skip
    command = [sys.executable, __file__, "--child", json.dumps(told)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{job}: failed with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(size: float, seconds: Sequence[float], scratch: Path, options: argparse.Namespace) -> Point:
    """Both jobs on noises of these durations."""
    from speech_analogy.benching.speech import make_speech
    from speech_analogy.corpora.read import write_cuts

    folder = scratch / f"{len(list(scratch.iterdir()))}"
    cuts = make_speech(folder / "speech", list(seconds))
    write_cuts(cuts, folder / "cuts.jsonl.gz")
    found = {job: in_a_process(job, folder / "cuts.jsonl.gz", folder / "model", options) for job in JOBS}
    point = Point(
        size, len(cuts), sum(seconds), {j: found[j]["seconds"] for j in JOBS}, {j: found[j]["bytes"] for j in JOBS}
    )
    print(f"{point.utterances} utterances, {point.speech_s:.0f} s: {point.seconds}", file=sys.stderr)
    return point


def exponent(points: Sequence[Point], job: str) -> float:
    """The slope of log time against log size."""
    sizes, seconds = [np.log([p.size for p in points]), np.log([p.seconds[job] for p in points])]
    return float(np.polyfit(sizes, seconds, 1)[0])


def table(points: Sequence[Point], head: str, form: str) -> str:
    """A row a size, and the exponents."""
    heads = [
        head, "utterances", "speech, s",
        *(f"{job}, {what}" for job in JOBS for what in ("s", "s an utterance", "s a second of speech", "peak MiB")),
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|--:" * len(heads) + "|"]
    for point in points:
        cells = [form.format(point.size), f"{point.utterances}", f"{point.speech_s:.0f}"]
        for job in JOBS:
            seconds = point.seconds[job]
            cells += [
                f"{seconds:.2f}", f"{seconds / point.utterances:.4f}", f"{seconds / point.speech_s:.4f}",
                f"{point.bytes[job] / MIB:.0f}",
            ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    told = ", ".join(f"{job} {exponent(points, job):.2f}" for job in JOBS)
    return "\n".join([*lines, "", f"Exponent of time: {told}."])


def plot(by_number: Sequence[Point], by_duration: Sequence[Point], path: Path) -> None:
    """Time and memory, each against both sizes."""
    number, duration = "utterances", "seconds an utterance"

    def lines(points: Sequence[Point], x: str, y: str) -> dict[str, Sequence[tuple[float, float]]]:
        return {
            job: [
                (getattr(p, x), p.seconds[job] if y == "s" else p.bytes[job] / MIB) for p in points
            ] for job in JOBS
        }  # fmt: skip

    each = by_duration[0].utterances
    write_plot(
        path,
        [
            Panel("Seconds against the number of utterances", number, lines(by_number, "utterances", "s")),
            Panel(f"Seconds against duration, {each} utterances", duration, lines(by_duration, "size", "s")),
            Panel("Peak MiB against the number of utterances", number, lines(by_number, "utterances", "MiB")),
            Panel(f"Peak MiB against duration, batches of {BATCH}", duration, lines(by_duration, "size", "MiB")),
        ],
    )


def heading(options: argparse.Namespace) -> str:
    """What was measured, on what."""
    from speech_analogy.benching.machine import describe

    machine = describe()
    return (
        f"{options.base}, batches of {BATCH}; {machine.processor}, {machine.cores} cores, {options.threads} threads, "
        f"{'with' if machine.bf16 else 'without'} bf16; Python {platform.python_version()}, torch {version('torch')}, "
        f"transformers {version('transformers')}. Load average when the table was made {os.getloadavg()[0]:.1f}.\n"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="pip:whisper-tiny.en")
    parser.add_argument("--utterances", type=int, default=64, help="of the smallest number")
    parser.add_argument("--of-each", type=int, default=32, help="utterances of each duration")
    parser.add_argument("--durations-s", type=float, nargs="+", default=list(DURATIONS_S))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="Markdown, and the plot beside it; by default standard output alone")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.child:
        child(options.child)
        return
    from speech_analogy.benching.speech import durations
    from speech_analogy.recognisers.weights import resolve_weights

    options.model = resolve_weights(options.base)
    drawn = durations(options.utterances).tolist()
    with tempfile.TemporaryDirectory(prefix="speech-analogy-scaling-") as temporary:
        scratch = Path(temporary)
        by_number = [measured(times, drawn * times, scratch, options) for times in TIMES]
        by_duration = [measured(s, [s] * options.of_each, scratch, options) for s in options.durations_s]
    parts = [heading(options), table(by_number, "times", "{:g}"), "", table(by_duration, "seconds each", "{:g}")]
    if options.out:
        plot(by_number, by_duration, options.out.with_suffix(".svg"))
        parts += ["", f"![Cost]({options.out.with_suffix('.svg').name})"]
    text = "\n".join(parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
