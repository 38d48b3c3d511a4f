"""Results of `evaluate` and `score` on their own: systems on one test, in the same form as a run's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from lhotse import CutSet

from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.seen import SeenSpeech, union
from speech_analogy.evaluation.answers.ensembles import consensus
from speech_analogy.evaluation.answers.questions import Question, answered, question
from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses
from speech_analogy.evaluation.grouping import Grouping
from speech_analogy.evaluation.normalise import NormaliserName, normaliser, normaliser_name
from speech_analogy.evaluation.overlap import by_spoken, overlap_of, require_new, spoken_texts
from speech_analogy.evaluation.results import Comparison, Overlap, Results, Test, write_hypotheses
from speech_analogy.evaluation.significance import holm
from speech_analogy.foundation.files import whole_folder
from speech_analogy.merging.io.provenance import SEEN
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.systems.catalogue import ENTRIES

Spoken: TypeAlias = frozenset[str] | None
"""Hashes of the texts that TTS has spoken; None: not known."""


def names_of(models: Sequence[str]) -> list[str]:
    """What models are called in tables: the shortest ends of their paths that are distinct and no system's name."""
    parts = [[part for part in model.replace("\\", "/").split("/") if part not in ("", ".")] for model in models]
    lengths = [1 for _ in parts]

    def said(number: int) -> str:
        return "/".join(parts[number][-lengths[number] :]) or models[number]

    while True:
        names = [said(number) for number in range(len(models))]
        taken = [name for name in names if names.count(name) > 1 or name in ENTRIES]
        longer = [n for n, name in enumerate(names) if name in taken and lengths[n] < len(parts[n])]
        if not longer:
            break
        for number in longer:
            lengths[number] += 1
    return [name if name not in names[:at] else f"{name} ({at + 1})" for at, name in enumerate(names)]


def file_of(name: str) -> str:
    """The file of a system's hypotheses, relative to the results."""
    return f"hypotheses/{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}.jsonl"


def check_new(cuts: str | Path | CutSet, models: Sequence[str], allow_overlap: bool) -> tuple[Overlap | None, Spoken]:
    """How much of a test the models were trained on, and the texts that TTS has spoken to them.

    Returns:
        None for what no model's `provenance.json` says; of what several say, all.

    Raises:
        DataError: the models were trained on recordings or speakers of the test, and `allow_overlap` is False.
        CheckpointError: a model cannot be had.
    """
    seen = union(SeenSpeech.read(provenance(resolve_weights(model)).get(SEEN)) for model in models)
    if seen is None:
        return None, None
    eager = cuts_of(cuts)
    found = overlap_of(eager, seen)
    require_new(eager, found, "recordings" if allow_overlap else None, "say --allow-overlap")
    return found, seen.spoken


def results_of(
    found: list[Evaluation],
    title: str,
    language: str,
    command: str,
    overlap: Overlap | None = None,
    spoken: Spoken = None,
    *,
    normalise_as: NormaliserName | None = None,
    asked: Question | None = None,
    with_consensus: bool = False,
) -> Results:
    """One results object; of several evaluations each is compared with every later one.

    Args:
        title: of the test.
        overlap, spoken: as `check_new` found them.
        normalise_as: as of `evaluate`.
        asked: of every system; None: what needs neither texts nor terms.
        with_consensus: of three systems or more, the best first: their consensus as one more system.
    """
    rows = found[0].hypotheses
    tested = Grouping(rows, found[0].cluster, found[0].cluster_note)
    asked = asked or question(normaliser(language, normalise_as))
    systems = [one.system if spoken is None else by_spoken(one.system, one.hypotheses, spoken) for one in found]
    ensembles = [consensus({one.system.name: one.hypotheses for one in found})[0]] if with_consensus else []
    return Results(
        test=Test(
            recipe="",
            title=title,
            domains=sorted({row.domain for row in rows if row.domain}),
            utterances=len(rows),
            speakers=tested.speakers,
            clusters=tested.clusters,
            cluster=tested.kind,
            cluster_note=tested.note,
            duration_s=round(sum(row.duration_s for row in rows), 3),
            dropped_empty_references=found[0].dropped_empty_references,
            normaliser=normaliser_name(language, normalise_as),
            overlap=overlap,
            texts=None if spoken is None else spoken_texts(rows, spoken),
        ),
        systems=[answered(system, one.hypotheses, asked) for system, one in zip(systems, found, strict=True)],
        comparisons=_pairwise(found),
        ensembles=ensembles,
        command=command,
    )


def _pairwise(found: Sequence[Evaluation]) -> list[Comparison]:
    """Every evaluation against every later one; where there are several p-values, corrected by Holm as well."""
    pairs = [
        compare_hypotheses(one.hypotheses, other.hypotheses, (one.system.name, other.system.name))
        for one, other in combinations(found, 2)
    ]
    if len(pairs) < 2:
        return pairs
    corrected = holm(dict(enumerate(one.p_value for one in pairs)))
    return [one.model_copy(update={"p_holm": corrected[place]}) for place, one in enumerate(pairs)]


def write_results(results: Results, found: list[Evaluation], out: Path) -> None:
    """`results.json` and `hypotheses/` in a folder that is written whole; an earlier one is replaced."""
    with whole_folder(out, overwrite=True) as building:
        (building / "hypotheses").mkdir()
        for one in found:
            write_hypotheses(one.hypotheses, building / one.system.hypotheses_file)
        results.write(building / "results.json")
