"""How fast and how well the same weights transcribe the same short utterances: this project, faster-whisper,
openai-whisper and the transformers pipeline.

    pip install -e '.[test]' ctranslate2 faster-whisper
    python tests/benchmarks/transcription/speed.py --model runs/speechocean762/model --data DATA --out SPEED.md

`--model` is a model tuned in trimmed windows, `--data` the folder of speechocean762. Every measurement is a process
of its own, with the same threads and the audio decoded beforehand; a few utterances are transcribed before the clock
starts. Systems take turns, `--repeats` times over the same utterances; the fastest turn counts, memory is the peak
resident set. Opening (with conversion where there is one) is timed apart. With `--turns FILE` finished turns are
kept, and the same command goes on from them. `--one-by-one` instead counts how many utterances our own backends hear
otherwise in batches than alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from systems import RATE_HZ, SYSTEMS, packs

REPOSITORY = Path(__file__).parents[3]
PACKAGES = ("ctranslate2", "faster-whisper", "openai-whisper", "torch", "transformers")
WARM_UP = 4  # utterances
MIB = 1 << 20


@dataclass(frozen=True)
class Utterance:
    """One recording with its text."""

    id: str
    speaker: str
    text: str
    samples: np.ndarray


@dataclass(frozen=True)
class Turn:
    """What one process measured."""

    opening_s: float
    seconds: float
    processor_s: float
    peak_bytes: int
    texts: list[str]


def read(data: Path, count: int, longest_s: float) -> list[Utterance]:
    """`count` test utterances of at most `longest_s`, evenly picked from all of them."""
    import soundfile

    rows = [json.loads(line) for line in (data / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["split"] == "test"]
    rows = [row for row in rows if soundfile.info(data / row["audio"]).duration <= longest_s]
    picked = [rows[index] for index in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    found = []
    for row in picked:
        samples, rate = soundfile.read(data / row["audio"], dtype="float32")
        if rate != RATE_HZ:
            raise SystemExit(f"{row['audio']}: must have {RATE_HZ} Hz, has {rate}")
        found.append(Utterance(row["id"], row["speaker"], row["text"], samples))
    return found


def measure(name: str, options: argparse.Namespace) -> Turn:
    """In this process."""
    import torch

    torch.set_num_threads(options.threads)
    waves = [utterance.samples for utterance in read(options.data, options.utterances, options.longest_s)]
    opening = time.perf_counter()
    hear = SYSTEMS[name](options.model, options.threads)
    opening = time.perf_counter() - opening
    hear(waves[:WARM_UP])
    start, processor = time.perf_counter(), time.process_time()
    texts = hear(waves)
    return Turn(
        opening_s=opening,
        seconds=time.perf_counter() - start,
        processor_s=time.process_time() - processor,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        texts=texts,
    )


def in_a_process(name: str, options: argparse.Namespace) -> Turn:
    """In a process of its own, whose libraries see the same number of threads."""
    threads = {key: str(options.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = {**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, __file__, "--child", name, "--model", str(options.model), "--data", str(options.data)]
    for key in ("threads", "utterances", "longest_s"):
        command += [f"--{key.replace('_', '-')}", str(getattr(options, key))]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: failed with status {done.returncode}")
    return Turn(**json.loads(done.stdout.splitlines()[-1]))


def setting(options: argparse.Namespace) -> list[Any]:
    """What turns must share to be compared."""
    return [str(options.model), options.utterances, options.longest_s, options.threads]


def kept_turns(options: argparse.Namespace) -> dict[str, list[Turn]]:
    """The finished turns of an earlier start with the same setting."""
    turns: dict[str, list[Turn]] = {name: [] for name in options.systems}
    if options.turns and options.turns.is_file():
        for line in options.turns.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            name = row.pop("name")
            if row.pop("setting") == setting(options) and name in turns:
                turns[name].append(Turn(**row))
    return turns


class Scorer:
    """WER as the project counts it, against references that are joined where a system hears several at once."""

    def __init__(self, utterances: list[Utterance]) -> None:
        from speech_analogy.evaluation.normalise import normaliser

        self.utterances, self.normalise = utterances, normaliser("en")

    def errors(self, texts: list[str], packed: bool = False) -> tuple[float, np.ndarray, np.ndarray]:
        """WER in percent, errors and words a row."""
        from speech_analogy.evaluation.score import word_errors

        groups = [[index] for index in range(len(texts))]
        if packed:
            groups = packs([len(utterance.samples) / RATE_HZ for utterance in self.utterances])
        references = [self.normalise(" ".join(self.utterances[i].text for i in group)).strip() for group in groups]
        found = word_errors(references, [self.normalise(" ".join(texts[i] for i in group)).strip() for group in groups])
        return found.rate, found.total, found.words


def table(turns: dict[str, list[Turn]], utterances: list[Utterance]) -> str:
    """Markdown: a row a system, and the goals."""
    from speech_analogy.evaluation.significance import compare

    speech_s = sum(len(utterance.samples) for utterance in utterances) / RATE_HZ
    scorer, speakers = Scorer(utterances), [utterance.speaker for utterance in utterances]
    best = {name: min(own, key=lambda turn: turn.seconds) for name, own in turns.items()}
    rivals = {
        "faster-whisper": [name for name in best if name.startswith("faster-whisper") and "packed" not in name],
        "the transformers pipeline": [name for name in best if name.startswith("transformers")],
    }
    fastest = {rival: min(names, key=lambda name: best[name].seconds) for rival, names in rivals.items() if names}
    yardstick = fastest.get("faster-whisper")
    heads = [
        "system", "utterances/s", "real-time factor", "processor s an utterance", "opening s", "peak MiB", "WER",
        f"WER − {yardstick} (95 %)",
        *(f"times {rival}" for rival in fastest),
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name, turn in best.items():
        packed = "packed" in name
        wer, errors, words = scorer.errors(turn.texts, packed)
        against = ""
        if yardstick and name != yardstick and not packed:
            difference = compare(errors, scorer.errors(best[yardstick].texts)[1], words, speakers)
            against = f"{difference.points:+.2f} ({difference.ci95[0]:+.2f} to {difference.ci95[1]:+.2f})"
        cells = [
            name, f"{len(utterances) / turn.seconds:.2f}", f"{turn.seconds / speech_s:.4f}",
            f"{turn.processor_s / len(utterances):.4f}", f"{turn.opening_s:.1f}", f"{turn.peak_bytes / MIB:.0f}",
            f"{wer:.2f}", against,
            *(f"{best[other].seconds / turn.seconds:.1f}" for other in fastest.values()),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    named = "; ".join(f"of {rival} the fastest is “{name}”" for rival, name in fastest.items())
    return "\n".join([*lines, "", f"{named[:1].upper()}{named[1:]}."] if named else lines)


def heading(options: argparse.Namespace, utterances: list[Utterance]) -> str:
    """What was measured, on what."""
    seconds = [len(utterance.samples) / RATE_HZ for utterance in utterances]
    return (
        f"{len(utterances)} utterances of speechocean762's test split of at most {options.longest_s:g} s "
        f"(mean {np.mean(seconds):.2f} s, {sum(seconds):.0f} s in all), {options.threads} threads, best of "
        f"{options.repeats}; {_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{', '.join(f'{name} {_version(name)}' for name in PACKAGES)}. Load average at the start "
        f"{os.getloadavg()[0]:.1f}."
    )


def one_by_one(options: argparse.Namespace, utterances: list[Utterance]) -> str:
    """How many utterances come out otherwise alone than in a batch, and the WER of both."""
    import torch

    torch.set_num_threads(options.threads)
    waves, scorer = [utterance.samples for utterance in utterances], Scorer(utterances)
    lines = [
        "| system | utterances | heard otherwise alone | WER in batches | WER one by one |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in [name for name in options.systems if name.startswith("ours")]:
        hear = SYSTEMS[name](options.model, options.threads)
        together, alone = hear(waves), [hear([wave])[0] for wave in waves]
        differ = sum(a != b for a, b in zip(together, alone, strict=True))
        rates = " | ".join(f"{scorer.errors(texts)[0]:.2f}" for texts in (together, alone))
        lines.append(f"| {name} | {len(waves)} | {differ} | {rates} |")
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a Hugging Face folder, tuned in trimmed windows")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data" / "speechocean762")
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--longest-s", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), metavar="NAME")
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--turns", type=Path, help="JSON lines of finished turns, kept and gone on from")
    parser.add_argument("--out", type=Path, help="Markdown; by default standard output")
    parser.add_argument("--child", choices=list(SYSTEMS), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.child:
        print(json.dumps(asdict(measure(options.child, options))))
        return
    utterances = read(options.data, options.utterances, options.longest_s)
    parts: list[str] = [heading(options, utterances), ""]
    if options.one_by_one:
        parts.append(one_by_one(options, utterances))
    else:
        turns = kept_turns(options)
        for repeat in range(options.repeats):
            for name in options.systems:
                if len(turns[name]) > repeat:
                    continue
                turn = in_a_process(name, options)
                turns[name].append(turn)
                print(f"{repeat + 1}/{options.repeats} {name}: {turn.seconds:.1f} s", file=sys.stderr)
                if options.turns:
                    with options.turns.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps({"name": name, "setting": setting(options), **asdict(turn)}) + "\n")
        parts.append(table(turns, utterances))
    text = "\n".join(parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
