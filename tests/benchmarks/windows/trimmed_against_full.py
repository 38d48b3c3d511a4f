"""What trimmed windows cost in WER: the same models and recordings, decoded in full and in trimmed windows.

    python tests/benchmarks/windows/trimmed_against_full.py --cuts source_dev.jsonl.gz \
        --models D=runs/speechocean762/model mixed=MODEL --out WINDOWS.md

    python tests/benchmarks/windows/trimmed_against_full.py --cuts source_dev.jsonl.gz \
        --train source_train.jsonl.gz --utterances 600 --epochs 2 --learning-rate 1e-4 --work WORK --out TRAINED.md

Choose settings by held-out source speech; decode the test set once, with what was chosen (`--windows`). `--train`
fine-tunes the base once for each window of `--train-windows` on the same batches, and decodes each model in each
window of `--windows`; models that WORK holds already are not trained again. A window is `full`, `trimmed`, or
settings that differ from the default: `slack=2`, `minimum=3,padding=noise`. Differences are paired, against the full
window and against training and decoding in it, resampled by speaker or by what `--cluster` says; seconds are the
processor's.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lhotse import CutSet

from speech_analogy.corpora.read import read_cuts
from speech_analogy.corpora.splits import subset
from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses, evaluate
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.evaluation.results import Hypothesis
from speech_analogy.foundation.page import wording
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.windows import TrimmedWindow, Window, window_seconds

DECODED = (
    "full", "trimmed", "slack=0.25", "slack=1", "slack=2", "slack=4", "minimum=3", "minimum=5",
    "padding=noise", "padding=repeat",
)  # fmt: skip
TRAINED = ("trimmed", "slack=2", "full")
DURATIONS_S = (0.0, 2.0, 3.0, 5.0, 30.0)  # bounds of the classes that errors are counted in
TRAINED_IN = "trained in "  # and the window: the name of a model that was trained here
SETTINGS = {"slack": "slack_s", "minimum": "minimum_s", "step": "step_s", "padding": "padding"}


def window(text: str) -> Window:
    """A window as it is written on the command line."""
    if text in ("full", "trimmed"):
        return text  # type: ignore[return-value]
    pairs = dict(part.split("=") for part in text.split(","))
    return TrimmedWindow.parse({SETTINGS.get(key, key): value for key, value in pairs.items()})


@dataclass(frozen=True)
class Decoding:
    """One model in one window."""

    model: str
    window: str
    found: Evaluation
    processor_s: float
    window_s: float
    """Mean of the utterances' windows."""


def decode(cuts: CutSet, name: str, model: Path, windows: Sequence[str], cluster: Cluster) -> list[Decoding]:
    """One model in each window."""
    recogniser = load_recogniser(model)
    rows = []
    for text in windows:
        start = time.process_time()
        found = evaluate(
            cuts,
            recogniser,
            decoding=DecodingOptions(window=window(text)),
            name=name,
            cluster=cluster,
            progress=False,
        )
        seconds = [window_seconds(cut.duration, window(text)) for cut in cuts]
        rows.append(Decoding(name, text, found, time.process_time() - start, float(np.mean(seconds))))
        print(f"{name} in {text}: {found.system.wer:.2f} in {rows[-1].processor_s:.0f} s", flush=True)
    return rows


def table(rows: list[Decoding]) -> str:
    """Markdown: a row a model and window, against its own full window and against full windows in both."""
    usual = next((row for row in rows if (row.model, row.window) == (TRAINED_IN + "full", "full")), None)
    heads = [
        "model", "window", "mean window s", "WER", "S", "D", "I", "over 100 %", "WER − full (95 %)", "p",
        *(["WER − trained and decoded in full (95 %)", "p"] if usual else []), "s",
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---|---" + "|--:" * (len(heads) - 2) + "|"]
    full = {row.model: row for row in rows if row.window == "full"}
    for row in rows:
        system = row.found.system
        cells = [
            row.model, row.window, f"{row.window_s:.1f}", f"{system.wer:.2f}", str(system.substitutions),
            str(system.deletions), str(system.insertions), str(system.over_100), *_paired(row, full.get(row.model)),
            *(_paired(row, usual) if usual else []), f"{row.processor_s:.0f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _paired(row: Decoding, against: Decoding | None) -> list[str]:
    """The difference with its interval, and p."""
    if against is None or against is row:
        return ["", ""]
    found = compare_hypotheses(row.found.hypotheses, against.found.hypotheses, (row.window, against.window))
    return [
        f"{found.difference:+.2f} ({found.ci95[0]:+.2f} to {found.ci95[1]:+.2f})",
        wording.p_value(found.p_value),
    ]


def by_duration(rows: list[Decoding]) -> str:
    """Markdown: substitutions, deletions and insertions per hundred words, by the utterance's length."""
    bounds = list(itertools.pairwise(DURATIONS_S))
    heads = ["model", "window", *(f"{low:g} to {high:g} s" for low, high in bounds)]
    lines = ["| " + " | ".join(heads) + " |", "|---|---" + "|--:" * len(bounds) + "|"]
    for row in rows:
        cells = [row.model, row.window]
        for low, high in bounds:
            inside = [h for h in row.found.hypotheses if low < h.duration_s <= high]
            cells.append(_rates(inside))
        lines.append("| " + " | ".join(cells) + " |")
    counts = [sum(low < h.duration_s <= high for h in rows[0].found.hypotheses) for low, high in bounds]
    return "\n".join([*lines, "", f"Utterances in these classes: {', '.join(map(str, counts))}."])


def _rates(inside: list[Hypothesis]) -> str:
    words = sum(row.words for row in inside)
    if not words:
        return ""
    kinds = ("substitutions", "deletions", "insertions")
    return " + ".join(f"{100 * sum(getattr(row, kind) for row in inside) / words:.1f}" for kind in kinds)


def train(options: argparse.Namespace) -> dict[str, Path]:
    """The base, fine-tuned once for each window at equal steps."""
    from speech_analogy.training.finetune import finetune
    from speech_analogy.training.options import FinetuneOptions

    cuts = read_cuts(options.train)
    if options.utterances is not None:
        cuts = subset(cuts, options.utterances, options.seed)
    models = {}
    for text in options.train_windows:
        out = options.work / text.replace(",", "-")
        chosen = FinetuneOptions(
            learning_rate=options.learning_rate, epochs=options.epochs, seed=options.seed, window=window(text)
        )
        if not out.exists():
            done = finetune(cuts, options.base, out, chosen, description=text)
            print(f"trained in {text}: {done.steps} steps in {done.seconds:.0f} s", flush=True)
        models[TRAINED_IN + text] = out
    return models


def heading(cuts: CutSet, options: argparse.Namespace) -> str:
    """What was measured, on what."""
    durations: list[Any] = [cut.duration for cut in cuts]
    return (
        f"{len(cuts)} utterances of `{options.cuts.name}` (median {np.median(durations):.1f} s, longest "
        f"{max(durations):.1f} s); {platform.machine()}, {os.cpu_count()} cores, {options.threads} threads. "
        f"Differences: bootstrap by {options.cluster}."
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=Path, required=True, help="with texts; what is decoded")
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--windows", nargs="+", default=list(DECODED), metavar="WINDOW")
    parser.add_argument("--train", type=Path, help="cuts that the base is fine-tuned on")
    parser.add_argument("--train-windows", nargs="+", default=list(TRAINED), metavar="WINDOW")
    parser.add_argument("--base", default="pip:whisper-tiny.en")
    parser.add_argument("--utterances", type=int, help="a subset of --train")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/windows"), help="where trained models are kept")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cluster", choices=("speaker", "prompt"), default="speaker", help="what is resampled")
    parser.add_argument("--out", type=Path, help="Markdown; by default standard output")
    return parser.parse_args()


def main() -> None:
    import torch

    options = arguments()
    torch.set_num_threads(options.threads)
    models = {name: Path(folder) for name, folder in (pair.split("=", 1) for pair in options.models)}
    if options.train:
        models |= train(options)
    cuts = read_cuts(options.cuts)
    rows = []
    for name, folder in models.items():
        rows += decode(cuts, name, folder, options.windows, options.cluster)
    parts = [heading(cuts, options), table(rows), "Substitutions + deletions + insertions per hundred words:"]
    text = "\n\n".join([*parts, by_duration(rows)]) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
