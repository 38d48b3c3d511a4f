"""What synthesis costs beside the engine, and what a second process brings.

    python tests/benchmarks/synthesis/overhead.py [--texts FILE] [--count 500] [--engine hibari] [--out FILE.md]

First where the time goes: everything in this process, one step after the other, the engine loaded and imports done
before the clock starts. Then the ordinary way, one worker, whose second thread judges and stores while the engine
speaks: its wall time from the first batch to the end of the run, against that of the engine alone, which speaks the
same batches in a process of its own and does nothing else. Then whole runs of the command line, from its start to its
end, with one and with two processes. Run it on a quiet machine: all are wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

REPOSITORY = Path(__file__).parents[3]
SLURP_TEXTS = REPOSITORY.parent / "shared" / "data" / "slurp_text" / "devel.jsonl"
CLOCKS = (time.perf_counter, time.process_time)
Spent: TypeAlias = tuple[Counter[str], Counter[str]]  # by wall time and by processor time
WARM_UP = "a short sentence to load the voice"
PARTS = {  # where a step is looked up -> what it is called in the table
    "data_synth.run.worker.judge": "gates",
    "data_synth.run.worker.resample": "resampling",
    "data_synth.run.worker.encode": "encoding",
    "data_synth.run.worker.write_whole": "writing clips",
    "data_synth.store.ledger.Ledger.append": "ledger rows",
    "data_synth.synthesize.write_files": "final ledger and cuts",
    "data_synth.synthesize.Plan": "checking texts",
}


def timed(spent: Spent, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, its seconds by either clock added to `spent`."""

    def measured(*arguments: Any, **named: Any) -> Any:
        begin = [clock() for clock in CLOCKS]
        try:
            return function(*arguments, **named)
        finally:
            for seconds, clock, begun in zip(spent, CLOCKS, begin, strict=True):
                seconds[name] += clock() - begun

    return measured


def one_process(texts: Path, folder: Path, engine: str) -> tuple[Spent, dict[str, float], int]:
    """Seconds of a run in this process by part, `all` among them; seconds before it; the number of clips."""
    begin = time.perf_counter()
    import pkgutil

    from data_synth.engines import Utterance, load_engine
    from data_synth.plan.options import SynthesisOptions
    from data_synth.synthesize import synthesize
    from data_synth.text.texts import TextFile

    spent: Spent = (Counter(), Counter())
    imported = time.perf_counter()
    speaker = load_engine(engine.partition(":")[0])
    voice = speaker.resolve(engine.partition(":")[2])[0]
    speaker.synthesize([Utterance(WARM_UP, voice, 0, {"speed": 1.0})])
    loaded = time.perf_counter()
    with mock.patch.object(speaker, "synthesize", timed(spent, "engine", speaker.synthesize)):
        patches = [mock.patch(path, timed(spent, name, pkgutil.resolve_name(path))) for path, name in PARTS.items()]
        for patch in patches:
            patch.start()
        whole = timed(spent, "all", synthesize)
        options = SynthesisOptions(engines=(engine,), isolated=False)
        report = whole(TextFile(texts), folder, options, progress=False)
        for patch in patches:
            patch.stop()
    for seconds in spent:
        seconds["plan, keys and the rest"] = 2 * seconds["all"] - seconds.total()
    before = {"imports": imported - begin, "loading the voice": loaded - imported}
    return spent, before, int(report.made)


ENGINE_ALONE = """
import json, sys, time
from data_synth.engines import Utterance, load_engine
engine, batches = load_engine(sys.argv[1]), json.load(sys.stdin)
for number, batch in enumerate(batches):
    engine.synthesize([Utterance(*item) for item in batch])
    if number == 0:  # it loaded the voice
        begin = time.perf_counter()
print(time.perf_counter() - begin)
"""


def one_worker(texts: Path, folder: Path, engine: str) -> tuple[float, float]:
    """Seconds from the first batch to the end of an ordinary run with one worker; seconds of the engine alone."""
    from data_synth.plan.options import SynthesisOptions
    from data_synth.run import pool
    from data_synth.synthesize import synthesize
    from data_synth.text.texts import TextFile

    batches: list[list[tuple[Any, ...]]] = []
    begun: list[float] = []

    class Watched(pool.WorkerPool):
        def give(self, process: Any, job: Any) -> None:
            batches.append([(c.spoken, c.voice, c.seeds[n], dict(c.parameters)) for c, n in job.work])
            super().give(process, job)

        def take(self, process: Any, message: Any) -> Any:
            if message is not None and message[0] == "rows" and not begun:
                begun.append(time.perf_counter())  # the first batch, which loads the voice, is done
            return super().take(process, message)

    with mock.patch.object(pool, "WorkerPool", Watched):
        synthesize(TextFile(texts), folder, SynthesisOptions(engines=(engine,)), progress=False)
        whole = time.perf_counter() - begun[0]
    done = subprocess.run(
        [sys.executable, "-c", ENGINE_ALONE, engine.partition(":")[0]],
        input=json.dumps(batches),
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return whole, float(done.stdout)


def command_line(texts: Path, folder: Path, engine: str, workers: int) -> float:
    """Seconds of a whole run of `python -m data_synth`, its start and its imports included."""
    command = [sys.executable, "-m", "data_synth", str(texts), "--engines", engine, "--out", str(folder), "--quiet"]
    begin = time.perf_counter()
    subprocess.run(
        [*command, "--workers", str(workers)],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def table(
    spent: Spent,
    before: dict[str, float],
    clips: int,
    worker: list[tuple[float, float]],
    walls: dict[int, list[float]],
) -> str:
    """Markdown."""
    wall, processor = spent
    lines = ["| part of one process | wall s | % | processor s | % |", "|---|---|---|---|---|"]
    for name, _ in wall.most_common():
        shares = [f"{part[name]:.2f} | {100 * part[name] / part['all']:.1f}" for part in (wall, processor)]
        lines.append(f"| {name} | " + " | ".join(shares) + " |")
    beside = [f"{100 * (1 - part['engine'] / part['all']):.1f} %" for part in (wall, processor)]
    lines += ["", f"{clips} clips; one step after the other all but the engine is {beside[0]} of the wall time,"]
    lines[-1] += f" {beside[1]} of the processor's."
    whole, alone = (min(seconds) for seconds in zip(*worker, strict=True))
    lines.append(f"One worker: {whole:.2f} s, the engine alone {alone:.2f} s: {100 * (1 - alone / whole):.1f} % of the")
    lines[-1] += f" wall time is not the engine's (best of {len(worker)})."
    lines.append("Before that: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in before.items()) + ".")
    best = {workers: min(seconds) for workers, seconds in walls.items()}
    for workers, seconds in best.items():
        lines.append(f"Whole command, {workers} process(es): {seconds:.1f} s (best of {len(walls[workers])}).")
    if len(best) > 1:
        lines.append(f"Two processes are {best[1] / best[2]:.2f} times as fast as one.")
    lines.append(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default=SLURP_TEXTS, help="default: SLURP's devel, where it is")
    parser.add_argument("--count", type=int, default=500, help="texts of it (default: %(default)s)")
    parser.add_argument("--engine", default="hibari", help="one voice, e.g. flite:slt (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="of the command line (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the table there too")
    given = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    from data_synth.text.texts import read_texts

    chosen = [text.text for text in read_texts(given.texts)][: given.count]
    folder = Path(tempfile.mkdtemp(prefix="data-synth-overhead-"))
    try:
        texts = folder / "texts.txt"
        texts.write_text("\n".join(chosen) + "\n", encoding="utf-8")
        spent, before, clips = one_process(texts, folder / "inside", given.engine)
        worker = [one_worker(texts, folder / f"worker-{n}", given.engine) for n in range(max(1, given.repeats))]
        walls: dict[int, list[float]] = {1: [], 2: []}
        for repeat in range(given.repeats):
            for workers, seconds in walls.items():
                seconds.append(command_line(texts, folder / f"{workers}-{repeat}", given.engine, workers))
        text = table(spent, before, clips, worker, walls if given.repeats else {})
    finally:
        shutil.rmtree(folder)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
