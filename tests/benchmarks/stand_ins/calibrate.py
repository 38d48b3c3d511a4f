"""Estimate against truth: what stand-in domains say of a target, and what recordings of it say.

    python tests/benchmarks/stand_ins/calibrate.py RUN [RUN ...] --out table.md

A RUN is either of `adapt RECIPE --targets each --shared-source` with `publish: auto` and `stand_ins: {count: 0,
truth: true}`: every target has scores of all candidates, and every choice of k other targets plays the stand-ins (none
of their trainings has seen the target, nor its trainings them). Or it is a run of one target with stand-ins of its own
and `stand_ins.truth: true`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech_analogy.adaptation.stages.params.stand_in_params import SCORES_FILE
from speech_analogy.adaptation.stand_in_options import CANDIDATES, USUAL
from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.evaluation.results import Results
from speech_analogy.evaluation.stand_in_estimate import (
    Candidate,
    Estimate,
    Prediction,
    StandInScores,
    candidates_of,
    decide,
)

BASE, PLAIN, MIXED = ("zero_shot", None), ("target_synthetic", None), ("mixed", None)
RIVALS: tuple[tuple[str, Candidate], ...] = (("base", BASE), ("C", PLAIN), ("mixed", MIXED))
STAND_INS = (1, 2, 3)


@dataclass(frozen=True)
class Case:
    """One estimate of one target, and the truth."""

    corpus: str
    target: str
    stand_ins: int
    estimate: Estimate
    truth: StandInScores

    @property
    def chosen(self) -> Candidate:
        return self.estimate.system, self.estimate.scale

    def wer(self, candidate: Candidate) -> float:
        return 100 * self.truth.errors(candidate) / self.truth.words

    @property
    def inside(self) -> bool:
        """Does the interval of the WER hold the truth?"""
        assert self.estimate.wer is not None
        return _holds(self.estimate.wer, self.wer(self.chosen))

    def gain_inside(self, rival: Candidate) -> bool | None:
        """Does the interval of the gain hold the truth? None where the rival itself is published."""
        expected = self.estimate.against.get(rival[0])
        if expected is None or rival == self.chosen:
            return None
        change = self.truth.log_wer(self.chosen) - self.truth.log_wer(rival)
        return _holds(expected, 100 * math.expm1(change))

    @property
    def bias(self) -> float:
        """Log of expected over true WER."""
        assert self.estimate.wer is not None
        return math.log(self.estimate.wer.value / 100) - self.truth.log_wer(self.chosen)

    @property
    def regret(self) -> float:
        """Points of WER above the best of all candidates at all λs, which the test alone knows."""
        return self.wer(self.chosen) - min(self.wer(one) for one in candidates_of([self.truth]))

    @property
    def scale_regret(self) -> float:
        """Points of WER above the best λ of the chosen system."""
        own = [one for one in candidates_of([self.truth]) if one[0] == self.chosen[0]]
        return self.wer(self.chosen) - min(self.wer(one) for one in own)


def _holds(prediction: Prediction, value: float) -> bool:
    return prediction.low <= value <= prediction.high


def truths(run: Path) -> dict[str, StandInScores]:
    """Target -> scores of all candidates on its test, of a run over several targets; empty for another run."""
    found = {}
    for path in sorted(
        run.glob(f"targets/**/stages/truth-*/{SCORES_FILE}")
    ):  # targets/TARGET, or targets/TARGET/seed-0
        target = path.relative_to(run / "targets").parts[0]
        found[target] = StandInScores.model_validate_json(path.read_text(encoding="utf-8"))
    return found


def cases_of(run: Path, counts: Sequence[int] = STAND_INS) -> Iterator[Case]:
    """Every estimate that a run can give, with its truth.

    Raises:
        DataError: the run has no scores of the candidates on a test.
    """
    known = truths(run)
    for target, truth in known.items():
        for count in counts:
            for chosen in itertools.combinations([name for name in known if name != target], count):
                estimate = decide([known[name] for name in chosen], USUAL, CANDIDATES)
                yield Case(run.name, target, count, estimate, truth)
    if known:
        return
    paths = sorted(run.glob(f"stages/truth-*/{SCORES_FILE}"))
    if not paths:
        raise DataError("no scores on a test", file=run, do="run the recipe with stand_ins.truth: true")
    results = Results.read(run / "results.json")
    if results.estimate is None or not results.estimate.stand_ins:
        raise DataError("the run has no stand-ins", file=run)
    truth = StandInScores.model_validate_json(paths[-1].read_text(encoding="utf-8"))
    yield Case("own stand-ins", run.name, len(results.estimate.stand_ins), results.estimate, truth)


def table(cases: Sequence[Case]) -> str:
    """Two tables: by target, and by number of stand-ins."""
    head = ["target", "stand-ins", "estimates", "published", "true WER", "expected", "bias", "WER inside"]
    head += [*(f"gain on {name} inside" for name, _ in RIVALS), "regret", "regret of λ"]
    groups: dict[tuple[str, str, int], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.corpus, case.target, case.stand_ins), []).append(case)
    rows = [[f"{corpus}: {target}", str(count), *_cells(own)] for (corpus, target, count), own in groups.items()]
    total = [
        [f"all, {count} stand-ins", str(count), *_cells([case for case in cases if case.stand_ins == count])]
        for count in sorted({case.stand_ins for case in cases})
    ]
    lines = [head, ["---"] * len(head), *rows, *total]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def _cells(cases: Sequence[Case]) -> list[str]:
    systems = sorted(
        {case.chosen[0] for case in cases}, key=lambda name: -sum(case.chosen[0] == name for case in cases)
    )
    share = sum(case.chosen[0] == systems[0] for case in cases) / len(cases)
    return [
        str(len(cases)),
        systems[0] + ("" if share == 1 else f" ({100 * share:.0f} %)"),
        f"{np.mean([case.wer(case.chosen) for case in cases]):.1f}",
        f"{np.mean([case.estimate.wer.value for case in cases if case.estimate.wer]):.1f}",
        f"{100 * math.expm1(float(np.mean([case.bias for case in cases]))):+.0f} %",
        _percent([case.inside for case in cases]),
        *(_percent([case.gain_inside(rival) for case in cases]) for _, rival in RIVALS),
        f"{np.mean([case.regret for case in cases]):.1f}",
        f"{np.mean([case.scale_regret for case in cases]):.1f}",
    ]


def _percent(values: Sequence[bool | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * float(np.mean(known)):.0f} %" if known else ""


def main() -> int:
    """Parse the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, help="where the table goes; without it to the terminal")
    given = parser.parse_args()
    try:
        found = table([case for run in given.runs for case in cases_of(run)])
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.out:
        given.out.write_text(found, encoding="utf-8")
    else:
        print(found, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
