"""Words of the target, terms, entities, groups, loops and speed, consensus, and what the test could have told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from speech_analogy.evaluation.results import Comparison, Results, System
from speech_analogy.evaluation.significance import FEWEST_CLUSTERS
from speech_analogy.foundation.page import wording
from speech_analogy.report import certainty, ranking
from speech_analogy.systems import labels

UNKNOWN = "–"
MOST_MISSED = 10  # terms that are named


@dataclass(frozen=True)
class DetailTable:
    """A heading, the names of the columns, rows of as many cells, and sentences that belong below.

    `left`: the columns beside the first whose cells are words, not numbers.
    """

    heading: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str]
    left: tuple[int, ...] = ()


def tables(results: Results) -> list[DetailTable]:
    """The tables that there are figures for."""
    makers: tuple[Callable[[Results], Iterator[DetailTable]], ...] = (
        _target_words, _terms, _entities, _groups, _loops, _ensembles, _pairs,
    )  # fmt: skip
    return [table for maker in makers for table in maker(results)]


def could_tell(results: Results) -> str:
    """The smallest differences that the subject's comparisons could have told; nothing where that is not known."""
    about = ranking.subject(results)
    if about is None:
        return ""
    compared = [(other, ranking.comparison_of(results, about, other)) for other in ranking.rivals(results)]
    known = [(other, one.detectable) for other, one in compared if one is not None and one.detectable is not None]
    if not known:
        return ""
    said = [f"{wording.rate(points)} points against {labels.label(other.name)}" for other, points in known]
    return f"Smallest difference that this test tells in four cases of five: {wording.listing(said)}."


def _name(system: System) -> str:
    return labels.label(system.name, system.scale)


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else wording.rate(value)


def _target_words(results: Results) -> Iterator[DetailTable]:
    found = [(one, one.target_words) for one in ranking.shown(results) if one.target_words is not None]
    if found:
        first = found[0][1]
        yield DetailTable(
            "Words that only the target has",
            ["system by words", "B-WER", "U-WER"],
            [[_name(one), _percent(words.b_wer), _percent(words.u_wer)] for one, words in found],
            [
                f"B-WER: on {wording.plural(first.words, 'word')} of the test that the target's texts have and the "
                f"source's have not ({first.vocabulary:,} distinct ones); U-WER: on the {first.others:,} others. An "
                "insertion counts with the word that it inserts (arXiv 2104.02194)."
            ],
        )


def _terms(results: Results) -> Iterator[DetailTable]:
    found = [(one, one.terms) for one in ranking.shown(results) if one.terms is not None]
    if not found:
        return
    first = found[0][1]
    about = ranking.subject(results)
    own = None if about is None else about.terms
    missed = sorted(own.terms.items(), key=lambda item: (item[1].found - item[1].spoken, item[0])) if own else []
    named = [f"{term} ({count.found} of {count.spoken})" for term, count in missed if count.found < count.spoken]
    told = f"{_name(about)} misses most: {wording.listing(named[:MOST_MISSED])}." if about and named else ""
    notes = [
        f"{wording.plural(first.listed, 'term')} ({first.chosen}), spoken {wording.plural(first.spoken, 'time')}. "
        "False: written where it was not spoken.",
        told,
    ]
    yield DetailTable(
        "Terms",
        ["system by terms", "recall", "precision", "false"],
        [[_name(one), _percent(score.recall), _percent(score.precision), str(score.false)] for one, score in found],
        [note for note in notes if note],
    )


def _entities(results: Results) -> Iterator[DetailTable]:
    found = [one for one in ranking.shown(results) if one.entities]
    if not found:
        return
    kinds = sorted({kind for one in found for kind in one.entities})
    rows = []
    for kind in kinds:
        counts = [one.entities.get(kind) for one in found]
        spoken = max(count.spoken for count in counts if count is not None)
        rows.append([kind, f"{spoken:,}", *(UNKNOWN if one is None else wording.rate(one.recall) for one in counts)])
    totals = [_recall([count.found for count in one.entities.values()], one) for one in found]
    spoken = sum(count.spoken for count in found[0].entities.values())
    yield DetailTable(
        "Entities",
        ["recall by type", "spoken", *map(_name, found)],
        [["all", f"{spoken:,}", *totals], *rows],
        ["Recall: of the entities that were spoken, those whose words stand in the transcript."],
    )


def _recall(found: list[int], system: System) -> str:
    return wording.rate(100.0 * sum(found) / sum(count.spoken for count in system.entities.values()))


def _groups(results: Results) -> Iterator[DetailTable]:
    shown = ranking.shown(results)
    for trait in dict.fromkeys(one.trait for system in shown for one in system.groups):
        found = [(system, one) for system in shown for one in system.groups if one.trait == trait]
        names = sorted(one.group for one in found[0][1].groups)
        rows = []
        for system, one in found:
            wer = {group.group: group.wer for group in one.groups}
            ends = (one.groups[0], one.groups[-1])
            doubt = f" {certainty.TOO_NARROW}" if min(end.clusters for end in ends) < FEWEST_CLUSTERS else ""
            cells = [_percent(wer.get(name)) for name in names]
            rows.append([_name(system), *cells, wording.rate(one.gap), wording.signed_interval(one.ci95) + doubt])
        sizes = [f"{group.group}: {wording.plural(group.utterances, 'utterance')}" for group in found[0][1].groups]
        counted = "; ".join(sorted(sizes))
        few = any(certainty.TOO_NARROW in row[-1] for row in rows)
        notes = [f"{counted}. Gap: the worst group's WER less the best one's, in points."]
        if few:
            notes.append(
                f"{certainty.TOO_NARROW} A group of fewer than {FEWEST_CLUSTERS} clusters: too narrow to trust."
            )
        yield DetailTable(f"WER by {trait}", [f"system by {trait}", *names, "gap", "95 % CI"], rows, notes)


def _loops(results: Results) -> Iterator[DetailTable]:
    shown = [one for one in ranking.shown(results) if one.loops is not None]
    columns: list[tuple[str, Callable[[System], str]]] = []
    if any(one.loops for one in shown):
        columns.append(("loops, %", lambda one: _percent(100.0 * (one.loops or 0) / one.utterances)))
    if any(one.words_on_silence is not None for one in shown):
        columns.append(("words on silence", lambda one: wording.amount(one.words_on_silence or 0)))
    if any(one.real_time_factor is not None for one in shown):
        columns.append(
            ("real-time factor", lambda one: UNKNOWN if one.real_time_factor is None else f"{one.real_time_factor:.3f}")
        )
    if columns:
        rows = [[_name(one), *(say(one) for _, say in columns)] for one in shown]
        notes = {
            "loops, %": "Loops: utterances whose transcript repeats itself.",
            "words on silence": "Words on silence: written where the reference has none; they are in no rate.",
            "real-time factor": "Real-time factor: seconds of decoding for a second of speech.",
        }
        heads = [head for head, _ in columns]
        said = [" ".join(notes[head] for head in heads)]
        yield DetailTable("Loops, silence and speed", ["system by behaviour", *heads], rows, said)


def _ensembles(results: Results) -> Iterator[DetailTable]:
    doubt = certainty.mark(results)
    for one in results.ensembles:
        rows = [
            [
                labels.label(compared.against),
                wording.signed(compared.difference),
                wording.signed_interval(compared.ci95) + doubt,
                wording.p_value(ranking.p_of(compared)),
            ]
            for compared in one.comparisons
        ]
        yield DetailTable(
            "Consensus",
            [f"consensus of {one.decodings}, less", "points", "95 % CI", "p"],
            rows,
            [
                f"Of each utterance the transcript with the fewest word edits to the others': WER "
                f"{wording.rate(one.wer)} ({wording.interval(one.ci95)}{doubt}), for {one.decodings} decodings. The "
                f"best transcript of each, which nobody can choose: {wording.rate(one.oracle_wer)}."
            ],
        )


def _pairs(results: Results) -> Iterator[DetailTable]:
    """Every comparison, where there are others than the subject's."""
    about = ranking.subject(results)
    others = [one for one in results.comparisons if about is None or one.system != about.name]
    if others:
        yield DetailTable(
            "Pairwise",
            ["system against another", "points", "95 % CI", "p", "could tell"],
            [_pair(results, one) for one in results.comparisons],
            [
                "p: Holm's, for all pairs. Could tell: the smallest difference in points that such a test finds in "
                "four cases of five, at 5 %."
            ],
        )


def _pair(results: Results, one: Comparison) -> list[str]:
    return [
        f"{labels.label(one.system)} against {labels.label(one.against)}",
        wording.signed(one.difference),
        wording.signed_interval(one.ci95) + certainty.mark(results),
        wording.p_value(ranking.p_of(one)),
        _percent(one.detectable),
    ]
