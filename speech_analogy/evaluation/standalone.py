"""Results of `evaluate` on its own: one or two systems on given cuts, in the same form as a run's."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses
from speech_analogy.evaluation.grouping import Grouping
from speech_analogy.evaluation.normalise import normaliser_name
from speech_analogy.evaluation.results import Comparison, Results, Test, write_hypotheses
from speech_analogy.foundation.files import whole_folder


def results_of(found: list[Evaluation], cuts: Path, language: str, command: str) -> Results:
    """One results object; with two evaluations, the first is compared against the second."""
    rows = found[0].hypotheses
    tested = Grouping(rows, found[0].cluster, found[0].cluster_note)
    comparisons: list[Comparison] = []
    if len(found) == 2:
        names = (found[0].system.name, found[1].system.name)
        comparisons.append(compare_hypotheses(rows, found[1].hypotheses, names))
    return Results(
        test=Test(
            recipe="",
            title=cuts.name,
            domains=sorted({row.domain for row in rows if row.domain}),
            utterances=len(rows),
            speakers=tested.speakers,
            clusters=tested.clusters,
            cluster=tested.kind,
            cluster_note=tested.note,
            duration_s=round(sum(row.duration_s for row in rows), 3),
            dropped_empty_references=found[0].dropped_empty_references,
            normaliser=normaliser_name(language),
        ),
        systems=[one.system for one in found],
        comparisons=comparisons,
        command=command,
    )


def write_results(results: Results, found: list[Evaluation], out: Path) -> None:
    """`results.json` and `hypotheses/` in a folder that is written whole; an earlier one is replaced."""
    with whole_folder(out, overwrite=True) as building:
        (building / "hypotheses").mkdir()
        for one in found:
            write_hypotheses(one.hypotheses, building / one.system.hypotheses_file)
        results.write(building / "results.json")
