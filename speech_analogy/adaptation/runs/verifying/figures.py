"""What `results.json` says beside each system's score, once more from the transcripts in the run's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from speech_analogy.adaptation.runs.verifying.differing import differing
from speech_analogy.adaptation.runs.verifying.rescoring import normaliser_of
from speech_analogy.adaptation.stages.scale_selection import regret
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.evaluation.answers.ensembles import consensus
from speech_analogy.evaluation.evaluate import compare_hypotheses
from speech_analogy.evaluation.grouping import Grouping
from speech_analogy.evaluation.measures.entities import entity_recall
from speech_analogy.evaluation.measures.groups import by_group
from speech_analogy.evaluation.measures.terms import term_score
from speech_analogy.evaluation.results import Comparison, Hypothesis, Results, System
from speech_analogy.evaluation.significance import holm
from speech_analogy.recognisers.checking.loops import loops

WHOLE = 1e-4  # how far a count that is worked out from three rates may lie from a whole number

Transcripts = Mapping[str, Sequence[Hypothesis]]
"""A system's `hypotheses_file` -> what is in it."""


def unfounded(results: Results, transcripts: Transcripts) -> list[str]:
    """Figures that do not follow from the transcripts: counts of the test, shares of words, intervals, p-values."""
    systems = [one for one in results.systems if one.hypotheses_file in transcripts]
    found = list(_of_test(results, transcripts[systems[0].hypotheses_file])) if systems else []
    for one in systems:
        found += _of_system(one, transcripts[one.hypotheses_file])
    found += _of_comparisons(results.comparisons, systems, transcripts)
    found += _of_ensembles(results, systems, transcripts)
    found += _of_regrets(results)
    return found


def label(system: System) -> str:
    """What a row of the table is called in a message."""
    return f"systems[{system.name}{'' if system.scale is None else f' {system.scale:g}'}]"


def _of_test(results: Results, rows: Sequence[Hypothesis]) -> Iterator[str]:
    tested = Grouping(list(rows), results.test.cluster)
    own: dict[str, Any] = {
        "utterances": len(rows),
        "speakers": tested.speakers,
        "clusters": tested.clusters,
        "duration_s": round(sum(row.duration_s for row in rows), 3),
    }
    if results.test.texts is not None:
        own["texts"] = {"texts": len({row.reference_normalised for row in rows})}
    yield from differing(own, results.test, "test")


def _of_system(system: System, rows: Sequence[Hypothesis]) -> Iterator[str]:
    place = label(system)
    own: dict[str, Any] = {}
    if system.loops is not None:
        own["loops"] = sum(loops(row.hypothesis) for row in rows)
    if system.real_time_factor is not None:
        own["real_time_factor"] = system.seconds / max(sum(row.duration_s for row in rows), 1e-9)
    if system.groups:
        errors, words = errors_of(rows), np.array([row.words for row in rows], dtype=np.int64)
        groups = by_group([row.traits for row in rows], errors, words, [row.cluster for row in rows])
        own["groups"] = groups
    references = [row.reference_normalised for row in rows]
    hypotheses = [row.hypothesis_normalised for row in rows]
    if system.terms is not None:  # its terms are written as they are scored
        terms = term_score(references, hypotheses, system.terms.terms, str, "")
        own["terms"] = {name: getattr(terms, name) for name in ("spoken", "found", "false", "terms")}
    if system.entities:
        own["entities"] = entity_recall(references, hypotheses, [row.entities for row in rows], normaliser_of(rows))
    yield from differing(own, system, place)
    if system.target_words is not None:
        shares = system.target_words
        wrong = system.substitutions + system.deletions + system.insertions
        sums = {"words": system.words, "errors": wrong}
        written = {"words": shares.words + shares.others, "errors": shares.errors + shares.other_errors}
        yield from differing(sums, written, f"{place}.target_words, with the others:")
    yield from _of_spoken(system, place)


def _of_spoken(system: System, place: str) -> Iterator[str]:
    """The rates of two parts and of all say how many words and errors the parts have: whole numbers."""
    one, other = system.wer_spoken, system.wer_unspoken
    if one is None and other is None:
        return
    if one is None or other is None or abs(one - other) < WHOLE:
        said = other if one is None else one
        yield from differing({"wer_spoken or wer_unspoken": system.wer}, {"wer_spoken or wer_unspoken": said}, place)
        return
    words = system.words * (system.wer - other) / (one - other)
    wrong = one * words / 100
    whole = all(abs(value - round(value)) < WHOLE * max(1.0, abs(value)) for value in (words, wrong))
    if not whole or not wrong >= 0 or not 0 <= words <= system.words:
        yield f"{place}: no part of the words has the rates wer_spoken {one:.10g} and wer_unspoken {other:.10g}"


def _of_comparisons(
    comparisons: Sequence[Comparison], systems: Sequence[System], transcripts: Transcripts
) -> Iterator[str]:
    found: list[Comparison | None] = []
    for number, one in enumerate(comparisons):
        ours, theirs = _of_name(systems, one.system, one.scale), _of_name(systems, one.against, None)
        found.append(None)
        if ours is None or theirs is None:
            yield f"comparisons[{number}]: no system {one.system if ours is None else one.against} was measured"
            continue
        rows, others = (list(transcripts[system.hypotheses_file]) for system in (ours, theirs))
        rows *= max(1, len(others) // max(1, len(rows)))
        try:
            found[-1] = compare_hypotheses(rows, others, (one.system, one.against), one.scale)
        except SpeechAnalogyError as error:
            yield f"comparisons[{one.against}]: {error.rule}"
    corrected = holm({number: None if one is None else one.p_value for number, one in enumerate(found)})
    for number, (own, said) in enumerate(zip(found, comparisons, strict=True)):
        if own is not None:
            values = dict(own) | {"p_holm": corrected[number]}
            for name in ("p_holm", "detectable"):  # earlier versions have none
                if getattr(said, name) is None:
                    del values[name]
            yield from differing(values, said, f"comparisons[{said.against}]")


def _of_name(systems: Sequence[System], name: str, scale: float | None) -> System | None:
    """The row of a system: of several λ the one that is asked for."""
    own = [one for one in systems if one.name == name]
    return next((one for one in own if one.scale == scale), own[0] if own else None)


def _of_ensembles(results: Results, systems: Sequence[System], transcripts: Transcripts) -> Iterator[str]:
    for number, said in enumerate(results.ensembles):
        members = {name: _of_name(systems, name, None) for name in said.members}
        rows = {name: transcripts[one.hypotheses_file] for name, one in members.items() if one is not None}
        try:
            own, _ = consensus(rows)
        except SpeechAnalogyError as error:
            yield f"ensembles[{number}]: {error.rule}"
            continue
        yield from differing(own, said, f"ensembles[{number}]")


def _of_regrets(results: Results) -> Iterator[str]:
    """What choosing without the test has cost, from the analogy's own curve."""
    curve = {one.scale: one.wer for one in results.systems if one.name == "analogy" and one.scale is not None}
    for choice in results.selection.strategies if results.selection else ():
        own = regret(choice.scale, curve) if choice.scale in curve else None
        yield from differing({"regret": own}, {"regret": choice.regret}, f"selection.strategies[{choice.strategy}]")


def errors_of(rows: Sequence[Hypothesis]) -> np.ndarray:
    """Word errors of each utterance, (utterances,)."""
    return np.array([row.substitutions + row.deletions + row.insertions for row in rows], dtype=np.int64)
