"""Scores once more from raw references and hypotheses, against what a run says that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from data_synth.text.scored_form import FORMS, scored_form
from speech_analogy.adaptation.runs.verifying.differing import differing
from speech_analogy.evaluation.evaluate import CHECKED, checks
from speech_analogy.evaluation.normalise import Normaliser
from speech_analogy.evaluation.results import Hypothesis, System
from speech_analogy.evaluation.score import character_errors, word_errors
from speech_analogy.evaluation.significance import wer_interval

COUNTED = ("substitutions", "deletions", "insertions", "words")


def rescored(system: System, rows: Sequence[Hypothesis]) -> list[str]:
    """What of a system's score does not follow from its transcripts; empty where all of it does.

    The normaliser is the one by which most of the rows say what they say.
    """
    if not rows:
        return ["there are no transcripts"] if system.utterances else []
    normalise = normaliser_of(rows)
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
    score: dict[str, Any] = {name: int(getattr(words, name).sum()) for name in COUNTED} | {
        "utterances": len(rows),
        "over_100": int((words.total > words.words).sum()),
        "wer": words.rate,
        "cer": character_errors(references, hypotheses).rate,
        "raw_wer": word_errors([row.reference for row in rows], [row.hypothesis for row in rows]).rate,
        "ci95": wer_interval(words.total, words.words, [row.cluster for row in rows]),
        **dict.fromkeys(CHECKED, 0),
        "one_pass_wer": None,
        **checks(references, rows, normalise),
    }
    return [*found, *differing(score, system, ""), *_of_seeds(system, rows)]


def _of_seeds(system: System, rows: Sequence[Hypothesis]) -> Iterator[str]:
    """Several seeds' transcripts stand one behind the other."""
    seeds = len(system.wer_of_seeds)
    if not seeds:
        return
    each = [rows[number * len(rows) // seeds : (number + 1) * len(rows) // seeds] for number in range(seeds)]
    yield from differing([_wer(own) for own in each], list(system.wer_of_seeds), "wer_of_seeds")


def _wer(rows: Sequence[Hypothesis]) -> float:
    errors = sum(row.substitutions + row.deletions + row.insertions for row in rows)
    return 100.0 * errors / max(1, sum(row.words for row in rows))


def normaliser_of(rows: Sequence[Hypothesis]) -> Normaliser:
    """The normaliser by which most of the rows say what they say."""
    return max(map(scored_form, FORMS), key=lambda one: _agreeing(rows, one))


def _agreeing(rows: Sequence[Hypothesis], normalise: Normaliser) -> int:
    return sum(normalise(row.reference).strip() == row.reference_normalised for row in rows)
