"""Time and memory of planning, making, resuming and merging up to a million rows, with an engine that makes no sound.

    python tests/benchmarks/synthesis/million.py [--rows 10000 100000 1000000] [--folder DIR] [--out FILE.md]

Every phase is a process of its own, and its figure the peak of its resident memory. All is the ordinary code but
three things: batches are answered with ready ledger rows where engines would speak, clips are taken for present
where files would be looked for, and merging brings no files. What is left is what grows with the number of rows.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY))

PHASES = ("nothing", "plan", "make", "resume", "shard 1/2", "shard 2/2", "merge")
ROWS = (10_000, 100_000, 1_000_000)
LETTERS = ("ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu")
VOICES_PER_TEXT = 1
ENTRY_POINTS = "[data_synth.engines]\nfake = fake_tts:FakeEngine\n"
MB = 1e6  # bytes


def install_engine(folder: Path) -> None:
    """The fake engine of the tests, as anyone's plug-in would be installed."""
    information = folder / "fake_tts-1.0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "tests" / "data_synth" / "fake_tts.py", folder)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-tts\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.insert(0, str(folder))


def write_texts(path: Path, rows: int) -> None:
    """As many different texts of about eight words, of 100 domains; every tenth has a number in it."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            name = "".join(LETTERS[int(digit)] for digit in str(number))
            words = f"please play the song {name} " + (
                f"at {number % 60} percent" if number % 10 == 0 else "once again"
            )
            file.write(json.dumps({"text": words, "domain": f"domain {number % 100}"}) + "\n")


def ready_rows(jobs: Iterable[object], options: object) -> Iterator[tuple[object, list[object]]]:
    """Batches as if they had been spoken and kept: the rows that a worker would return."""
    import numpy as np

    from data_synth.engines import Failure
    from data_synth.gates.judge import judge
    from data_synth.plan.attempt import GateRow
    from data_synth.run.worker import ClipJob, make_row
    from data_synth.store.clip_files import clip_path

    tone = (0.3 * np.sin(np.arange(32_000) / 10)).astype(np.float32)
    for job in jobs:
        assert isinstance(job, ClipJob)
        readings = judge(tone, 16_000, "a text of thirty-two characters..", job.settings.gates).readings
        gates = {
            name: GateRow(value=one.value, minimum=one.minimum, maximum=one.maximum) for name, one in readings.items()
        }
        rows = [
            make_row(clip, attempt, Failure(""), job.settings).model_copy(
                update={
                    "status": "kept",
                    "reason": None,
                    "gates": gates,
                    "path": clip_path(clip.key(attempt), "flac"),
                    "duration_s": 2.0,
                    "sha256": "0" * 64,
                }
            )
            for clip, attempt in job.work
        ]
        yield job, list(rows)


def present(path: Path) -> bool:
    """Every clip is."""
    return True


def bring_nothing(source: Path, target: Path, transfer: str) -> None:
    """Clips that were not made are not brought."""


def run_phase(phase: str, folder: Path, rows: int) -> dict[str, float]:
    """One phase in this process: seconds and peak memory."""
    from data_synth.plan.options import SynthesisOptions
    from data_synth.plan.plan import Shard, SynthesisPlan
    from data_synth.plan.voices import find_voices
    from data_synth.run.join_shards import join_shards
    from data_synth.synthesize import synthesize
    from data_synth.text.texts import TextFile

    install_engine(folder / "engine")
    options = SynthesisOptions(engines=("fake:low+high+slow",), voices_per_text=VOICES_PER_TEXT)
    begin = time.perf_counter()
    with (
        mock.patch("data_synth.synthesize.run_jobs", ready_rows),
        mock.patch("data_synth.store.loose_clips.exists", present),
        mock.patch("data_synth.run.join_shards._bring", bring_nothing),
    ):
        match phase:
            case "nothing":
                pass
            case "plan":
                plan = SynthesisPlan(TextFile(folder / "texts.jsonl"), find_voices(options.engines), options)
                assert sum(len(text.clips) for text in plan) == rows
            case "make" | "resume":
                texts = TextFile(folder / "texts.jsonl")
                made = synthesize(texts, folder / "whole", options, progress=False).made
                assert made == (rows if phase == "make" else 0)
            case "merge":
                parts = [folder / "1", folder / "2"]
                assert join_shards(parts, folder / "merged", progress=False).kept == rows
            case _:
                shard = Shard.parse(phase.split()[1])
                synthesize(
                    TextFile(folder / "texts.jsonl"), folder / str(shard.number), options, progress=False, shard=shard
                )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": time.perf_counter() - begin, "peak_mb": peak / MB}


def measure(rows: int, folder: Path) -> dict[str, dict[str, float]]:
    """All phases at a number of rows, each in its own process; the folder is removed afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_texts(folder / "texts.jsonl", rows)
    found = {}
    for phase in PHASES:
        command = [sys.executable, __file__, "--phase", phase, "--folder", str(folder), "--rows", str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[phase] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{rows:9,} rows  {phase:10} {found[phase]['seconds']:8.1f} s  {found[phase]['peak_mb']:7.1f} MB",
            flush=True,
        )
    same = (folder / "whole" / "ledger.jsonl").read_bytes() == (folder / "merged" / "ledger.jsonl").read_bytes()
    assert same, "the merged ledger is not that of the single run"
    shutil.rmtree(folder)
    return found


def table(found: dict[int, dict[str, dict[str, float]]]) -> str:
    """Markdown: a phase a line, seconds and peak memory by rows, and bytes a row between the two largest."""
    counts = sorted(found)
    lines = [
        "| phase | " + " | ".join(f"{count:,} rows" for count in counts) + " | bytes a row |",
        "|---|" + "---|" * (len(counts) + 1),
    ]
    for phase in PHASES:
        cells = [f"{found[count][phase]['seconds']:.1f} s, {found[count][phase]['peak_mb']:.0f} MB" for count in counts]
        growth = ""
        if len(counts) > 1:
            low, high = counts[-2:]
            grown = (found[high][phase]["peak_mb"] - found[low][phase]["peak_mb"]) * MB
            growth = f"{grown / (high - low):.0f}"
        lines.append(f"| {phase} | " + " | ".join(cells) + f" | {growth} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print; or, in a process of its own, one phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--folder", type=Path, default=Path("/tmp/data-synth-million"), help="made anew, and removed")
    parser.add_argument("--out", type=Path, help="write the table there too")
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.phase:
        print(json.dumps(run_phase(given.phase, given.folder, given.rows[0])))
        return
    text = table({rows: measure(rows, given.folder) for rows in given.rows})
    text += f"\nPython {platform.python_version()}, {platform.machine()}, {platform.system()}\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
