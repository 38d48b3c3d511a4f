"""What a run expects of a target that nobody has recorded, in words and as a table, from stand-in domains."""

from __future__ import annotations

from speech_analogy.evaluation.results import Results
from speech_analogy.evaluation.stand_in_estimate import Candidate, Estimate, Prediction, best_scales
from speech_analogy.foundation.page import wording
from speech_analogy.report import ranking
from speech_analogy.systems import labels

UNTOUCHED = "zero_shot"


def sentences(results: Results) -> list[str]:
    """Which model was published and why, what is expected of it, and what was measured where there is a test."""
    estimate = results.estimate
    if estimate is None:
        return []
    return [_published(estimate), *_expected(estimate), *_measured(results, estimate)]


def table(estimate: Estimate) -> tuple[list[str], list[list[str]]]:
    """WER of every candidate, at the λ that was chosen for it, on every stand-in; the published one first.

    Returns:
        the head, and the rows: system, one WER a stand-in, the mean (geometric).
    """
    head = ["system", *(one.label for one in estimate.stand_ins), "mean"]
    best = best_scales(estimate.stand_ins) if estimate.stand_ins else {}
    chosen = (estimate.system, estimate.scale)
    order = sorted(best.values(), key=lambda one: (one != chosen, _mean(estimate, one)))
    return head, [_row(estimate, candidate) for candidate in order]


def _row(estimate: Estimate, candidate: Candidate) -> list[str]:
    wers = [100 * one.errors(candidate) / one.words for one in estimate.stand_ins]
    mark = " (published)" if candidate == (estimate.system, estimate.scale) else ""
    return [labels.label(*candidate) + mark, *map(wording.rate, wers), wording.rate(_mean(estimate, candidate))]


def _mean(estimate: Estimate, candidate: Candidate) -> float:
    product = 1.0
    for one in estimate.stand_ins:
        product *= max(one.errors(candidate), 0.5) / one.words
    return 100 * float(product ** (1 / len(estimate.stand_ins)))


def _published(estimate: Estimate) -> str:
    name = labels.label(estimate.system, estimate.scale)
    if not estimate.gained:
        return f"Nothing is gained by adapting: {estimate.why}. What is published is {name}."
    return f"Published: {name}. {estimate.why[:1].upper()}{estimate.why[1:]}."


def _expected(estimate: Estimate) -> list[str]:
    if estimate.wer is None:
        return ["How good it will be was not estimated: there was no stand-in domain to try it on."]
    stand_ins = ", ".join(f"{one.label} ({_people(one.utterances, one.speakers)})" for one in estimate.stand_ins)
    found = [
        f"Expected on the target: a WER of about {wording.rate(estimate.wer.value)} % "
        f"({_span(estimate.wer)}). This is an estimate from {wording.plural(len(estimate.stand_ins), 'other domain')} "
        f"that played the target, {stand_ins}; the target lies in the interval with a probability of "
        f"{100 * estimate.confidence:.0f} %, if it is a domain like them."
    ]
    if UNTOUCHED in estimate.against:
        gain = estimate.against[UNTOUCHED]
        found.append(
            f"Against {labels.label(UNTOUCHED)}: {wording.relative(gain.value / 100)} are expected "
            f"({wording.signed(gain.low)} to {wording.signed(gain.high)} %)."
        )
    if any(not one.unseen_speakers for one in estimate.stand_ins):
        found.append(
            "Some stand-ins were spoken by speakers of the training recordings, since too few speakers are known to "
            "hold some out: on new speakers expect more errors."
        )
    return found


def _people(utterances: int, speakers: int | None) -> str:
    said = wording.plural(utterances, "utterance")
    return said if speakers is None else f"{said} of {wording.plural(speakers, 'speaker')}"


def _measured(results: Results, estimate: Estimate) -> list[str]:
    """The truth beside the estimate, where the target was recorded for a test."""
    system = ranking.find(results, results.published)
    if system is None:
        return ["There were no recordings of the target to test it on."]
    measured = f"Measured on the target: {wording.rate(system.wer)} % ({wording.interval(system.ci95)})"
    if estimate.wer is None:
        return [f"{measured}."]
    inside = estimate.wer.low <= system.wer <= estimate.wer.high
    return [f"{measured}, {'inside' if inside else 'outside'} the estimated interval."]


def _span(prediction: Prediction) -> str:
    return f"{wording.rate(prediction.low)} to {wording.rate(prediction.high)}"
