"""What a gap vector is worth on another target: θ_C + λ(τ_B − τ_A), paired against θ_C, with norm-matched controls.

    python tests/benchmarks/gaps/measure.py CELLS.yaml --work WORK --part test
    python tests/benchmarks/gaps/measure.py CELLS.yaml --work WORK --part test --controls 2 --scales 0.5,1
    python tests/benchmarks/gaps/measure.py CELLS.yaml --work WORK --table > TABLE.md

CELLS.yaml names models (`root`, relative to which paths are), `gaps` (name -> [B, A], or names of gaps: their mean),
`targets` (name -> c, and cuts of its parts: `test`, `dev` for choosing, `clips` for what C was trained on) and `cells`
(target -> gaps). What WORK holds is not measured again. Decoding: greedy, bf16, in the window that C was tuned in.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lhotse import CutSet
from torch import Tensor

from speech_analogy.adaptation.stages.controls import random_like, shuffled
from speech_analogy.corpora.read import read_cuts
from speech_analogy.corpora.splits import subset
from speech_analogy.evaluation.results import Hypothesis
from speech_analogy.evaluation.significance import compare, wer_interval
from speech_analogy.evaluation.sweep import evaluate_scales
from speech_analogy.foundation.files import write_json
from speech_analogy.merging.vectors.gap import gap_between, mean_gap
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.weights import resolve_weights

CLIPS = 150  # of C's own training clips, for the λ at which they are still recognised
TOLERANCE_POINTS = 1.0  # that they may lose
LEAST_P = 0.001
CONTROLS = {"random": random_like, "shuffled": shuffled}


@dataclass(frozen=True)
class Cells:
    """What CELLS.yaml says."""

    root: Path
    content: dict[str, Any]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for target, gaps in self.content["cells"].items():
            for gap in gaps:
                yield target, gap

    def path(self, text: str) -> Path:
        return (self.root / text).resolve()

    def vector(self, gap: str) -> TaskVector:
        """τ_B − τ_A of a gap, or the mean of several."""
        parts = self.content["gaps"][gap]
        if parts[0] in self.content["gaps"]:
            return mean_gap([self.vector(part) for part in parts])
        if len(parts) == 1:
            return TaskVector.load(self.path(parts[0]))
        return gap_between(*(self.path(part) for part in parts))

    def cuts(self, target: str, part: str) -> CutSet | None:
        """A target's recordings, or some of C's own clips; None where it has no such part."""
        found = self.content["targets"][target].get(part)
        if found is None:
            return None
        cuts = read_cuts(self.path(found))
        return subset(cuts, min(CLIPS, len(cuts)), 0) if part == "clips" else cuts


def record_of(rows: list[Hypothesis]) -> dict[str, Any]:
    """Errors, words and cluster of every utterance."""
    return {
        "errors": [row.substitutions + row.deletions + row.insertions for row in rows],
        "words": [row.words for row in rows],
        "clusters": [row.cluster for row in rows],
    }


def sweep(
    cells: Cells, work: Path, target: str, gap: str, part: str, scales: list[float], control: str, seed: int
) -> None:
    """Measure one cell at each λ; one file each."""
    todo = [scale for scale in scales if not file_of(work, target, gap, part, scale, control, seed).exists()]
    cuts = cells.cuts(target, part)
    if not todo or cuts is None:
        return
    settings = cells.content["targets"][target]
    base = resolve_weights(settings.get("base", "pip:whisper-tiny.en"))
    plus = work / "models" / gap
    if not plus.exists():
        cells.vector(gap).apply(base, plus)
    change: Callable[[str, Tensor], Tensor] | None = CONTROLS[control](seed) if control else None
    found = evaluate_scales(
        cuts,
        cells.path(settings["c"]),
        plus,
        base,
        todo,
        change=change,
        decoding=DecodingOptions(compute="bf16", language=settings.get("language", "en")),
        cluster=settings.get("cluster", "speaker"),
        progress=False,
    )
    for scale, evaluation in zip(todo, found, strict=True):
        write_json(file_of(work, target, gap, part, scale, control, seed), record_of(evaluation.hypotheses))
        print(f"{target} {gap} {part} {control}{seed if control else ''} λ {scale:g}: {evaluation.system.wer:.1f}")


def file_of(work: Path, target: str, gap: str, part: str, scale: float, control: str, seed: int) -> Path:
    """Where a measurement is; λ = 0 is C itself, whatever the gap."""
    who = "c" if scale == 0 else f"{gap}-{control}{seed}" if control else gap
    folder = work / "measured"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{target}.{part}.{who}.{scale:g}.json"


@dataclass(frozen=True)
class Measured:
    """The errors of each utterance."""

    errors: np.ndarray
    words: np.ndarray
    clusters: list[str]

    @classmethod
    def read(cls, *files: Path) -> Measured | None:
        """One measurement; several, of seeds, are pooled. None where one is not there."""
        if not all(file.exists() for file in files):
            return None
        contents = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        arrays = [np.concatenate([np.array(content[key]) for content in contents]) for key in ("errors", "words")]
        return cls(*arrays, clusters=list(itertools.chain(*(content["clusters"] for content in contents))))

    @property
    def wer(self) -> float:
        return 100.0 * float(self.errors.sum()) / float(self.words.sum())

    def against(self, other: Measured) -> str:
        """Difference, 95 % interval and p-value."""
        times = len(self.errors) // len(other.errors)
        found = compare(self.errors, np.tile(other.errors, times), self.words, self.clusters)
        told = f"{found.points:+.1f} ({found.ci95[0]:+.1f} to {found.ci95[1]:+.1f})"
        if found.p_value is None:
            return told
        return f"{told}, " + (f"p < {LEAST_P}" if found.p_value < LEAST_P else f"p = {found.p_value:.3f}")


def clip_scale(curve: dict[float, float]) -> float:
    """The largest λ up to which C's own clips lose at most `TOLERANCE_POINTS` of WER: it needs no recording."""
    best = 0.0
    for scale in sorted(curve):
        if curve[scale] > curve[0.0] + TOLERANCE_POINTS:
            break
        best = scale
    return best


def table(cells: Cells, work: Path, part: str, scales: list[float], seeds: int) -> str:
    """One row a cell: C, each λ's difference from it, the controls' at the largest λ, and the λ of the clips."""
    grid = [scale for scale in scales if scale]
    heads = ["target", "gap", "C", *(f"λ = {scale:g}" for scale in grid)]
    heads += [f"random, λ = {grid[-1]:g}", f"shuffled, λ = {grid[-1]:g}", "λ by clips"]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(['---'] * len(heads))}|"]
    for target, gap in cells:
        at = [target, gap, part]
        c = Measured.read(file_of(work, target, gap, part, 0.0, "", 0))
        if c is None:
            continue
        low, high = wer_interval(c.errors, c.words, c.clusters)
        row = [target, gap, f"{c.wer:.1f} ({low:.1f} to {high:.1f})"]
        for scale in grid:
            found = Measured.read(file_of(work, *at, scale, "", 0))
            row.append("" if found is None else f"**{found.wer:.1f}**: {found.against(c)}")
        for control in CONTROLS:
            files = [file_of(work, *at, grid[-1], control, seed) for seed in range(seeds)]
            drawn = Measured.read(*files) if files else None
            row.append("" if drawn is None else f"{drawn.wer:.1f}: {drawn.against(c)}")
        clips = {scale: Measured.read(file_of(work, target, gap, "clips", scale, "", 0)) for scale in scales}
        curve = {scale: found.wer for scale, found in clips.items() if found is not None}
        row.append(f"{clip_scale(curve):g}" if len(curve) == len(scales) else "")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cells", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "dev", "clips"), default="test")
    parser.add_argument("--scales", default="0,0.25,0.5,1")
    parser.add_argument("--controls", type=int, default=0, help="seeds of each control, in place of the gaps")
    parser.add_argument("--only", action="append", default=[], help="TARGET or TARGET:GAP")
    parser.add_argument("--table", action="store_true", help="print what was measured")
    parser.add_argument("--seeds", type=int, default=2, help="of the controls in the table")
    given = parser.parse_args()
    content = yaml.safe_load(given.cells.read_text(encoding="utf-8"))
    cells = Cells(Path(os.path.expandvars(content["root"])), content)
    scales = [float(scale) for scale in given.scales.split(",")]
    if given.table:
        print(table(cells, given.work, given.part, scales, given.seeds))
        return
    for target, gap in cells:
        if given.only and target not in given.only and f"{target}:{gap}" not in given.only:
            continue
        for control in CONTROLS if given.controls else ("",):
            for seed in range(given.controls or 1):
                sweep(cells, given.work, target, gap, given.part, scales, control, seed)


if __name__ == "__main__":
    main()
