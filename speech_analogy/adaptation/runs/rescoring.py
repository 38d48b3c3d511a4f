"""Scores once more from raw references and hypotheses, against what a run says that they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from data_synth.text.scored_form import FORMS, scored_form
from speech_analogy.evaluation.normalise import Normaliser
from speech_analogy.evaluation.results import Hypothesis, System
from speech_analogy.evaluation.score import character_errors, word_errors
from speech_analogy.evaluation.significance import wer_interval

SAME = 1e-9  # relative: the mean of several seeds' rates is theirs together but for rounding
COUNTED = ("substitutions", "deletions", "insertions", "words")


def rescored(system: System, rows: Sequence[Hypothesis]) -> list[str]:
    """What of a system's score does not follow from its transcripts; empty where all of it does.

    The normaliser is the one by which most of the rows say what they say.
    """
    if not rows:
        return ["there are no transcripts"] if system.utterances else []
    normalise = max(map(scored_form, FORMS), key=lambda one: _agreeing(rows, one))
    texts = [(normalise(row.reference).strip(), normalise(row.hypothesis).strip()) for row in rows]
    found = [
        f"{row.id}: its normalised texts are not those of its raw ones"
        for row, own in zip(rows, texts, strict=True)
        if own != (row.reference_normalised, row.hypothesis_normalised)
    ]
    references, hypotheses = [one for one, _ in texts], [other for _, other in texts]
    if not all(references):
        return [*found, "a reference normalises to nothing"]
    words = word_errors(references, hypotheses)
    for index, row in enumerate(rows):
        counted = {name: int(getattr(words, name)[index]) for name in COUNTED}
        found += [
            f"{row.id}: {name} are {counted[name]}, and {getattr(row, name)} is written"
            for name in COUNTED
            if counted[name] != getattr(row, name)
        ]
    score = {name: int(getattr(words, name).sum()) for name in COUNTED} | {
        "utterances": len(rows),
        "over_100": int((words.total > words.words).sum()),
        "wer": words.rate,
        "cer": character_errors(references, hypotheses).rate,
        "raw_wer": word_errors([row.reference for row in rows], [row.hypothesis for row in rows]).rate,
    }
    low, high = wer_interval(words.total, words.words, [row.cluster for row in rows])
    pairs = [*score.items(), ("ci95", low), ("ci95", high)]
    written = [*(getattr(system, name) for name in score), *system.ci95]
    found += [
        f"{name} is {own:.10g}, and {said:.10g} is written"
        for (name, own), said in zip(pairs, written, strict=True)
        if not math.isclose(own, said, rel_tol=SAME, abs_tol=SAME)
    ]
    return found


def _agreeing(rows: Sequence[Hypothesis], normalise: Normaliser) -> int:
    return sum(normalise(row.reference).strip() == row.reference_normalised for row in rows)
