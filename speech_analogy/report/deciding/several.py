"""Several runs side by side: what each published, its WER, and the paired difference to the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import compare_hypotheses
from speech_analogy.evaluation.results import Comparison, Hypothesis, Results, System, read_hypotheses
from speech_analogy.evaluation.significance import holm
from speech_analogy.foundation.page import wording
from speech_analogy.report import certainty, ranking
from speech_analogy.systems import labels

COLUMNS = ("run", "model", "WER", "95 % CI", "B-WER", "expected", "less the first", "95 % CI", "p (Holm)")
RESULTS_FILE = "results.json"
NONE = "–"


@dataclass(frozen=True)
class RunRow:
    """One run. Rates are percentages; None where they are not known.

    Attributes:
        run: its folder.
        system, scale: what it published, or what its report is about, and λ.
        utterances: of its test.
        b_wer: on words that only the target's texts have.
        expected: by stand-in domains, without the test.
        against_first: difference to the first run in points, on the same utterances; None of the first, and where
            the utterances or their references are others.
        p_holm: of that difference, corrected for all runs.
    """

    run: str
    title: str
    system: str
    scale: float | None = None
    utterances: int = 0
    wer: float | None = None
    ci95: tuple[float, float] | None = None
    b_wer: float | None = None
    expected: float | None = None
    against_first: float | None = None
    against_first_ci95: tuple[float, float] | None = None
    p_holm: float | None = None
    doubt: str = ""


def compare_runs(runs: Sequence[Path]) -> list[RunRow]:
    """A row for each run, in the order given.

    Raises:
        DataError: fewer than two runs; one of them twice; no results, or no transcripts, in one of them.
    """
    if len(runs) < 2 or len({run.resolve() for run in runs}) < len(runs):
        raise DataError("there must be two runs or more, each once", field="RUN", value=" ".join(map(str, runs)))
    results = [Results.read(run / RESULTS_FILE) for run in runs]
    about = [ranking.subject(one) for one in results]
    heard = [_heard(run, system) for run, system in zip(runs, about, strict=True)]
    found = [None, *(_compared(heard[0], own) for own in heard[1:])]
    corrected = holm({place: None if one is None else one.p_value for place, one in enumerate(found)})
    return [
        _row(run, one, system, difference, corrected[place])
        for place, (run, one, system, difference) in enumerate(zip(runs, results, about, found, strict=True))
    ]


def cells(row: RunRow) -> list[str]:
    """The row as words, one for each of `COLUMNS`."""
    against = row.against_first
    return [
        row.run,
        labels.label(row.system, row.scale) if row.system else NONE,
        _rate(row.wer),
        NONE if row.ci95 is None else wording.interval(row.ci95) + row.doubt,
        _rate(row.b_wer),
        _rate(row.expected),
        NONE if against is None else wording.signed(against),
        NONE if row.against_first_ci95 is None else wording.signed_interval(row.against_first_ci95) + row.doubt,
        NONE if against is None else wording.p_value(row.p_holm),
    ]


def notes(rows: Sequence[RunRow]) -> list[str]:
    """What the table cannot say."""
    first = rows[0].run
    others = [row.run for row in rows[1:] if row.wer is not None and row.against_first is None]
    said = [f"Differences are paired, on the same utterances, to {first}; p is corrected for all runs."]
    if others:
        said.append(f"On other utterances than {first}, so not compared: {wording.listing(others)}.")
    return said


def _row(
    run: Path, results: Results, system: System | None, difference: Comparison | None, p_holm: float | None
) -> RunRow:
    estimate = results.estimate
    known = RunRow(
        run=str(run),
        title=results.test.title,
        system=results.published if system is None else system.name,
        scale=system.scale if system is not None else None if estimate is None else estimate.scale,
        utterances=results.test.utterances,
        expected=None if estimate is None or estimate.wer is None else estimate.wer.value,
        doubt=certainty.mark(results),
    )
    if system is None:
        return known
    own = system.target_words
    measured = {"wer": system.wer, "ci95": system.ci95, "b_wer": None if own is None else own.b_wer}
    against = (
        {}
        if difference is None
        else {"against_first": difference.difference, "against_first_ci95": difference.ci95, "p_holm": p_holm}
    )
    return RunRow(**{**vars(known), **measured, **against})


def _heard(run: Path, system: System | None) -> list[Hypothesis]:
    """The transcripts of what a run is about, by utterance."""
    rows = [] if system is None else read_hypotheses(run / system.hypotheses_file)
    return sorted(rows, key=lambda row: row.id)


def _compared(first: list[Hypothesis], own: list[Hypothesis]) -> Comparison | None:
    """Of one run with the first; None where they were not heard on the same utterances."""
    same = [(row.id, row.reference_normalised) for row in first] == [(row.id, row.reference_normalised) for row in own]
    return compare_hypotheses(own, first, ("run", "first")) if first and same else None


def _rate(value: float | None) -> str:
    return NONE if value is None else wording.rate(value)
