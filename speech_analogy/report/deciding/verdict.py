"""The verdict of a run in a few sentences: what was gained, which model and why, and whether it is good enough."""

from __future__ import annotations

from speech_analogy.evaluation.results import Comparison, Results, System
from speech_analogy.foundation.page import wording
from speech_analogy.report import ranking
from speech_analogy.systems import labels

UNTOUCHED = "zero_shot"
"""The base as it was published: what adapting must be better than."""


def sentences(results: Results, good_enough: float | None = None) -> list[str]:
    """Where nothing was gained, that first; then the model and why, what it was compared with, and the bar.

    Args:
        good_enough: the WER in percent that the user needs; None: no word of it.
    """
    about = ranking.subject(results)
    if about is None:
        return [*_untested(results), *_bar_of_estimate(results, good_enough)]
    first = [*_nothing_gained(results, about), _which(results, about)]
    return [*first, _against(results, about), *_bar(results, about, good_enough)]


def strongest_rival(results: Results) -> System | None:
    """The lowest WER beside the subject's, the untouched base and what was trained on the target's own recordings."""
    about = ranking.subject(results)
    others = (
        system
        for system in ranking.ranked(results)
        if system is not about and system.name != UNTOUCHED and not labels.described(system.name).ceiling
    )
    return next(others, None)


def interval_in_words(low: float, high: float) -> str:
    """An interval of a difference in points: which way it points, or that it points both ways."""
    if high < 0:
        return f"between {wording.rate(-high)} and {wording.rate(-low)} points lower"
    if low > 0:
        return f"between {wording.rate(low)} and {wording.rate(high)} points higher"
    return f"anywhere from {wording.rate(-low)} points lower to {wording.rate(high)} points higher"


def _which(results: Results, about: System) -> str:
    name = labels.label(about.name, about.scale)
    estimate = results.estimate
    if not results.published:
        chosen = results.selection is not None and about is ranking.chosen_analogy(results)
        if chosen and results.selection is not None and results.selection.scale_chosen_on:
            return f"This page is about {name}; its λ was chosen on {results.selection.scale_chosen_on}."
        return f"This page is about {name}."
    if estimate is None or estimate.system != results.published or not estimate.why:
        return f"Published: {name}."
    return f"Published: {name}, because {estimate.why[:1].lower()}{estimate.why[1:]}."


def _nothing_gained(results: Results, about: System) -> list[str]:
    """A sentence where the subject is the base, or is not clearly better than it; none where it is."""
    base = ranking.find(results, UNTOUCHED)
    if base is about:
        return ["Nothing was gained by adapting."]
    if base is None:
        return []
    compared = ranking.comparison_of(results, about, base)
    if about.wer >= base.wer:
        return ["Nothing was gained on this test: the base makes no more errors."]
    if compared is None or ranking.p_of(compared) is None:
        return ["Whether anything was gained cannot be told from this test: there is no p-value against the base."]
    if not ranking.is_clear(compared):
        return ["No gain over the base can be told on this test: the difference may be chance."]
    return []


def _against(results: Results, about: System) -> str:
    base, rival = ranking.find(results, UNTOUCHED), strongest_rival(results)
    named = [
        (system, words)
        for system, words in ((base, ""), (rival, "of the strongest rival, "))
        if system is not None and system is not about
    ]
    measured = f"On the test its WER is {wording.rate(about.wer)} % ({wording.interval(about.ci95)})"
    if not named:
        return f"{measured}; the run has nothing to compare it with."
    said = (_compared(results, about, system, words) for system, words in named)
    return f"{measured}, against {', and '.join(said)}."


def _compared(results: Results, about: System, against: System, words: str) -> str:
    named = f"{wording.rate(against.wer)} % {words or 'of '}{labels.label(against.name, against.scale)}"
    row = ranking.comparison_of(results, about, against)
    if row is None:
        return f"{named} ({wording.signed(about.wer - against.wer)} points, not tested)"
    return f"{named} ({wording.signed(row.difference)} points, {interval_in_words(*row.ci95)}{_judged(row)})"


def _judged(row: Comparison) -> str:
    if ranking.p_of(row) is None:
        return "; too few to test it"
    return "" if ranking.is_clear(row) else ": not told apart"


def _bar(results: Results, about: System, bar: float | None) -> list[str]:
    if bar is None:
        return []
    if results.too_few_clusters:
        side = "at or under" if about.wer <= bar else "over"
        few = wording.plural(results.test.clusters, results.test.cluster)
        return [
            f"Its WER lies {side} the bar of {bar:g} %, but {few} are too few to say that it is or is not good enough."
        ]
    return [_placed(about.wer, *about.ci95, bar, "measured")]


def _bar_of_estimate(results: Results, bar: float | None) -> list[str]:
    estimate = results.estimate
    if bar is None or estimate is None or estimate.wer is None:
        return []
    return [_placed(estimate.wer.value, estimate.wer.low, estimate.wer.high, bar, "estimated")]


def _placed(wer: float, low: float, high: float, bar: float, how: str) -> str:
    """Where a bar lies: beyond an interval, or inside it, which decides nothing."""
    if high <= bar:
        return f"That is good enough: the whole {how} interval lies under the bar of {bar:g} %."
    if low > bar:
        return f"That is not good enough: the whole {how} interval lies over the bar of {bar:g} %."
    nearer = "under" if wer <= bar else "over"
    return (
        f"Whether it is good enough is open: the bar of {bar:g} % lies inside the {how} interval, the WER {nearer} it."
    )


def _untested(results: Results) -> list[str]:
    estimate = results.estimate
    if estimate is None:
        return []
    name = labels.label(estimate.system, estimate.scale)
    why = f", because {estimate.why[:1].lower()}{estimate.why[1:]}" if estimate.why else ""
    first = f"Published: {name}{why}."
    gained = [] if estimate.gained else ["Nothing is gained by adapting."]
    if estimate.wer is None:
        return [*gained, first, "How good it is was neither measured nor estimated."]
    expected = (
        f"No recording of the target was there to test it on; other domains let a WER of about "
        f"{wording.rate(estimate.wer.value)} % be expected ({wording.interval((estimate.wer.low, estimate.wer.high))})."
    )
    return [*gained, first, expected]
