"""How fast, in how much memory and how well the same base is fine-tuned on the same short utterances: this project and
the Seq2SeqTrainer recipe of transformers.

    pip install -e '.[test]'
    python tests/benchmarks/finetuning/speed.py --base pip:whisper-tiny.en --data DATA --out SPEED.md

`--data` is the folder of speechocean762. Utterances of at most `--longest-s` are taken from its training split to learn
from and from its test split, whose speakers are others, to be scored. What the systems do is told in systems.py.

Speed: `--speed-steps` steps by every system in turn, `--repeats` times, each in a process of its own on all cores. The
loop counts from its first batch to its last step; loading and saving the model do not. Ours reads audio and makes
features within the loop, the recipe has them ready: the column "with features" counts them for both. Memory is the
largest of all turns: resident is the process's own peak (VmHWM), with feature extraction and files mapped into memory;
anonymous memory (without files) and PSS are sampled over the process and its children.

WER: the systems of `--wer-systems` learn `--steps` steps (0: none) from the same batches in the same order, and are
then decoded, greedily, by this project's torch backend, in the window that each was trained in; ours in 30 s windows
too.

Finished turns are kept in `--folder` under the setting and the code they were made with, and the same command goes on
from them; `--again` forgets them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from systems import OURS, SYSTEMS, Task, Trained
from watching import Watch

REPOSITORY = Path(__file__).parents[3]
PACKAGES = ("torch", "transformers", "accelerate")
CODE = ("training", "recognisers", "corpora")  # whose text turns belong to
MIB = 1 << 20
TRAIN, DECODE, IMPORTS = "train", "decode", "imports"


@dataclass(frozen=True)
class Turn:
    """One training, as measured."""

    system: str
    trained: Trained
    resident_bytes: int
    anonymous_bytes: int
    pss_bytes: int

    @property
    def rate(self) -> float:
        """Utterances a second of the loop."""
        return self.trained.utterances / self.trained.loop_s

    @property
    def rate_with_features(self) -> float:
        return self.trained.utterances / (self.trained.loop_s + self.trained.features_s)


def prepare(options: argparse.Namespace, folder: Path) -> None:
    """Write the cuts: `speed` and `steps` to learn from, `test` to be scored on."""
    from lhotse import CutSet

    from speech_analogy.corpora.read import read_corpus, write_cuts

    cuts = [
        c for c in read_corpus("speechocean762", options.data, progress=False).cuts if c.duration <= options.longest_s
    ]
    train = [cut for cut in cuts if cut.custom["split"] == "train"]
    test = [cut for cut in cuts if cut.custom["split"] == "test"]
    wanted = {
        "speed": (train, options.speed_steps * options.batch),
        "steps": (train, options.steps * options.batch),
        "test": (test, options.utterances),
    }
    for name, (found, count) in wanted.items():
        if count > len(found):
            raise SystemExit(
                f"{name}: {count} utterances of at most {options.longest_s:g} s wanted, {len(found)} found"
            )
        if count:
            picked = [found[row] for row in np.linspace(0, len(found) - 1, count).astype(int)]
            write_cuts(CutSet.from_cuts(picked), folder / f"{name}.jsonl.gz", overwrite=True)


def child(told: str) -> None:
    """Train or decode in this process; prints one line of JSON."""
    given = json.loads(told)
    import torch

    if given["kind"] == IMPORTS:
        print(json.dumps({"resident_bytes": imported_bytes()}))
        return

    torch.set_num_threads(given["threads"])
    if given.pop("kind") == TRAIN:
        from speech_analogy.benching.machine import peak_bytes

        trained = SYSTEMS[given["system"]](Task(**given))
        print(json.dumps({**asdict(trained), "resident_bytes": peak_bytes()}))
        return
    from speech_analogy.evaluation.transcribe import transcribe
    from speech_analogy.recognisers.decoding import DecodingOptions

    heard = transcribe(given["cuts"], given["model"], decoding=DecodingOptions(window=given["window"]), progress=False)
    print(json.dumps({"texts": [t.text for t in heard.transcripts], "window": str(heard.window), "s": heard.seconds}))


def imported_bytes() -> int:
    """What a process holds that has imported all that both systems train with, and done nothing."""
    from transformers import Seq2SeqTrainer, WhisperForConditionalGeneration

    from speech_analogy.benching.machine import peak_bytes
    from speech_analogy.recognisers.whisper import model as whisper
    from speech_analogy.training import finetune

    assert all((Seq2SeqTrainer, WhisperForConditionalGeneration, whisper, finetune))
    return peak_bytes()


def in_a_process(told: dict[str, Any], log: Path) -> tuple[dict[str, Any], Watch]:
    """In a process of its own, whose libraries see the same number of threads; its stderr goes to `log`."""
    threads = {key: str(told["threads"]) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = {**os.environ, **threads, "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, __file__, "--child", json.dumps(told)]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        with Watch(process.pid) as watch:
            printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"failed with status {process.returncode}: {log}\n{log.read_text(encoding='utf-8')[-2000:]}")
    return json.loads(printed.splitlines()[-1]), watch


class Kept:
    """Finished turns, one a line, by name."""

    def __init__(self, file: Path) -> None:
        self.file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        self.rows = {row.pop("name"): row for row in map(json.loads, lines)}

    def put(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        self.rows[name] = row
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"name": name, **row}) + "\n")
        return row


def train(name: str, system: str, cuts: str, options: argparse.Namespace, folder: Path, kept: Kept) -> Turn:
    """One turn, unless it is kept."""
    row = kept.rows.get(name)
    if row is None:
        out = folder / "models" / name
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(exist_ok=True)
        task = Task(
            system, str(options.model), str(folder / f"{cuts}.jsonl.gz"), str(out), options.batch,
            options.learning_rate, options.threads, options.workers,
        )  # fmt: skip
        found, watch = in_a_process({"kind": TRAIN, **asdict(task)}, folder / f"{name}.log")
        if cuts == "speed":
            shutil.rmtree(out)
        row = kept.put(name, {**found, "anonymous_bytes": watch.anonymous_bytes, "pss_bytes": watch.pss_bytes})
    measured = dict(row)
    sizes = {key: measured.pop(key) for key in ("resident_bytes", "anonymous_bytes", "pss_bytes")}
    turn = Turn(system, Trained(**measured), **sizes)
    print(f"{name} {system}: {turn.rate:.2f} utterances/s, {turn.resident_bytes / MIB:.0f} MiB", file=sys.stderr)
    return turn


def decode(name: str, window: str, options: argparse.Namespace, folder: Path, kept: Kept) -> list[str]:
    """What the model of a turn hears in the test utterances, unless it is kept."""
    key = f"{name}-{window}"
    row = kept.rows.get(key)
    if row is None:
        given = {
            "kind": DECODE, "model": str(folder / "models" / name), "cuts": str(folder / "test.jsonl.gz"),
            "window": window, "threads": options.threads,
        }  # fmt: skip
        found, _ = in_a_process(given, folder / f"{key}.log")
        row = kept.put(key, found)
        print(f"{key}: {found['s']:.0f} s", file=sys.stderr)
    return list(row["texts"])


def speed_table(turns: dict[str, list[Turn]]) -> str:
    """A row a system; ratios are paired by turn."""
    heads = [
        "system", "utterances/s", "with features", "times as fast is ours", "with features",
        "resident, MiB", "anonymous, MiB", "PSS, MiB", "ours takes of its resident",
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    mine = turns.get(OURS, [])

    def most(own: list[Turn], field: str) -> float:
        return max(getattr(turn, field) for turn in own) / MIB

    for name, own in turns.items():
        cells = [name, f"{max(t.rate for t in own):.2f}", f"{max(t.rate_with_features for t in own):.2f}"]
        rival = bool(mine) and name != OURS
        for field in ("rate", "rate_with_features"):
            pairs = zip(mine, own, strict=True) if rival else ()
            ratios = [getattr(a, field) / getattr(b, field) for a, b in pairs]
            cells.append(f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})" if ratios else "")
        cells += [f"{most(own, field):.0f}" for field in ("resident_bytes", "anonymous_bytes", "pss_bytes")]
        cells.append(f"{most(mine, 'resident_bytes') / most(own, 'resident_bytes'):.2f}" if rival else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def wer_table(heard: dict[tuple[str, str], tuple[Turn, list[str]]], cuts: Path) -> str:
    """A row a model and window, with its paired difference to every rival."""
    from speech_analogy.corpora.cuts import speaker_of, text_of
    from speech_analogy.corpora.read import read_cuts
    from speech_analogy.evaluation.normalise import normaliser
    from speech_analogy.evaluation.score import word_errors
    from speech_analogy.evaluation.significance import compare
    from speech_analogy.foundation.page import wording

    normalise, spoken = normaliser("en"), list(read_cuts(cuts))
    kept = [row for row, cut in enumerate(spoken) if normalise(text_of(cut)).strip()]
    references = [normalise(text_of(spoken[row])).strip() for row in kept]
    speakers = [speaker_of(spoken[row]) for row in kept]
    errors = {
        key: word_errors(references, [normalise(texts[row]).strip() for row in kept])
        for key, (_, texts) in heard.items()
    }
    rivals = [key for key in heard if not key[0].startswith(OURS)]
    heads = [
        "system", "decoded in", "steps", "utterances/s", "resident, MiB", "WER",
        *(f"WER − {system} (95 %)" for system, _ in rivals),
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---|---" + "|--:" * (len(heads) - 2) + "|"]
    for key, (turn, _) in heard.items():
        cells = [
            *key, f"{turn.trained.steps}", f"{turn.rate:.2f}", f"{turn.resident_bytes / MIB:.0f}",
            f"{errors[key].rate:.2f}",
        ]  # fmt: skip
        for other in rivals:
            found = compare(errors[key].total, errors[other].total, errors[key].words, speakers)
            told = (
                f"{found.points:+.2f} ({found.ci95[0]:+.2f} to {found.ci95[1]:+.2f}), {wording.p_clause(found.p_value)}"
            )
            cells.append("" if key == other else told)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def heading(options: argparse.Namespace, folder: Path, imports_bytes: int) -> str:
    """What was measured, on what."""
    from speech_analogy.benching.machine import describe
    from speech_analogy.corpora.read import read_cuts

    def told(name: str) -> str:
        seconds = [cut.duration for cut in read_cuts(folder / f"{name}.jsonl.gz")]
        return f"{len(seconds)} utterances (mean {np.mean(seconds):.2f} s, longest {max(seconds):.2f} s)"

    machine = describe()
    return (
        f"{options.base} on speechocean762, utterances of at most {options.longest_s:g} s, batches of {options.batch}, "
        f"peak learning rate {options.learning_rate:g}. Speed on {told('speed')}, {options.repeats} turns, "
        f"best or median of them. {machine.processor}, {machine.cores} cores, {options.threads} threads, "
        f"{'with' if machine.bf16 else 'without'} bf16; Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in PACKAGES)}. Load average when the table was made "
        f"{os.getloadavg()[0]:.1f}. Of the resident memory {imports_bytes / MIB:.0f} MiB are imports: a process that "
        "has imported what both train with, and done nothing.\n"
    )


def setting(options: argparse.Namespace) -> str:
    """A name for what turns must share."""
    digest = hashlib.sha256()
    for room in CODE:
        for file in sorted((REPOSITORY / "speech_analogy" / room).glob("*.py")):
            digest.update(file.read_bytes())
    keys = ("base", "longest_s", "utterances", "steps", "speed_steps", "batch", "learning_rate", "threads", "workers")
    digest.update(json.dumps([str(getattr(options, key)) for key in keys]).encode())
    return digest.hexdigest()[:16]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="pip:whisper-tiny.en")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data" / "speechocean762")
    parser.add_argument("--utterances", type=int, default=200, help="of the test split")
    parser.add_argument("--longest-s", type=float, default=8.0)
    parser.add_argument("--steps", type=int, default=25, help="learned before the WER; 0: no WER")
    parser.add_argument("--speed-steps", type=int, default=6, help="a turn of the speed")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=3e-5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=0, help="of the rival's dataloader")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), metavar="NAME")
    parser.add_argument(
        "--wer-systems", nargs="*", choices=list(SYSTEMS), metavar="NAME",
        default=[OURS, "Seq2SeqTrainer, bf16", "Seq2SeqTrainer, its defaults (fp32)"],
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "speech-analogy-finetuning-speed")
    parser.add_argument("--again", action="store_true", help="forget the turns that are kept")
    parser.add_argument("--out", type=Path, help="Markdown; by default standard output")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.child:
        child(options.child)
        return
    from speech_analogy.recognisers.weights import resolve_weights

    options.model = resolve_weights(options.base)
    folder = options.folder / setting(options)
    if options.again:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    prepare(options, folder)
    kept = Kept(folder / "turns.jsonl")
    turns: dict[str, list[Turn]] = {name: [] for name in options.systems}
    for repeat in range(options.repeats):
        for name in options.systems:
            turn = train(f"speed-{repeat}-{list(SYSTEMS).index(name)}", name, "speed", options, folder, kept)
            turns[name].append(turn)
    imports, _ = in_a_process({"kind": IMPORTS, "threads": options.threads}, folder / "imports.log")
    parts = [heading(options, folder, imports["resident_bytes"]), speed_table(turns)]
    if options.steps:
        heard = {}
        for system in options.wer_systems:
            name = f"steps-{list(SYSTEMS).index(system)}"
            turn = train(name, system, "steps", options, folder, kept)
            for window in ("trimmed", "full") if system.startswith(OURS) else ("full",):
                heard[system, window] = (turn, decode(name, window, options, folder, kept))
        parts += ["", wer_table(heard, folder / "test.jsonl.gz")]
    text = "\n".join(parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
