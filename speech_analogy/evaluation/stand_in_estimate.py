"""What stand-in domains say of a target that nobody has recorded: which system, which λ, and how much it will gain.

A stand-in is a source domain that plays the target: its own C, A and B without it, and recordings of it that none of
them was trained on. Every candidate is evaluated on every stand-in. Log WERs are averaged, so that a hard domain counts
as much as an easy one.

The expected gain on the target is a prediction from other domains: a random-effects mean with an interval for one more
draw. A stand-in's own figure is uncertain, the more the fewer errors were counted: the logarithm of E errors has a
variance of about φ/E, φ = 3 by speakers (1/E₁ + 1/E₂ of a pair of systems on the same utterances). With v_i that
variance, s the spread between domains and w_i = 1/(s² + v_i), the interval is Σw_i·y_i/Σw_i ± t·√(s² + 1/Σw_i). Two or
three stand-ins say little of s, so s² is moderated by what was found on other corpora:
s² = (d₀s₀² + (k − 1)·max(0, s_k² − v̄)) / (d₀ + k − 1), with d₀ + k − 1 degrees of freedom.

Sources: G. K. Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol. Biol. 3 (2004), equation of
the moderated variance; J. P. T. Higgins, S. G. Thompson, D. J. Spiegelhalter, "A re-evaluation of random-effects
meta-analysis", J. R. Stat. Soc. A 172 (2009), section 4.1, for the prediction interval; φ, s₀ and d₀ from
`tests/benchmarks/stand_ins`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy import stats

from speech_analogy.foundation.options import Options

CONFIDENCE = 0.90
# Spread between domains of the log ratio of two systems' WERs, and of the log WER: s₀, and how many degrees it counts.
GAIN_SPREAD, GAIN_DEGREES = 0.25, 4.0
WER_SPREAD, WER_DEGREES = 0.35, 4.0
PAIR_SPREAD, PAIR_DEGREES = 0.12, 4.0  # of two systems that are made of the same corners
ERROR_DISPERSION, PAIR_DISPERSION = 3.0, 1.0  # φ of a count of errors, and of the ratio of two on the same utterances
UNSEEN_ERRORS = 0.5  # added to a count of errors, so that its logarithm exists
BEST_ELSEWHERE = "it is the best on other corpora"

Candidate = tuple[str, float | None]
"""A system and its λ; None where it has none."""


class CandidateScore(Options):
    """One system at one λ on one stand-in."""

    system: str
    scale: float | None = None
    errors: int
    loops: int = Field(default=0, description="utterances whose own WER is over 100 %")


class StandInScores(Options):
    """What one stand-in has found."""

    label: str
    kind: Literal["domain", "cluster"] = "domain"
    texts: int = Field(description="that its C was trained on")
    utterances: int = Field(description="that the candidates transcribed")
    speakers: int | None = Field(default=None, description="of these; None: unknown")
    words: int
    unseen_speakers: bool = Field(default=True, description="whether its speakers are in none of its trainings")
    scores: list[CandidateScore]

    def errors(self, candidate: Candidate) -> int:
        """Word errors of a candidate.

        Raises:
            KeyError: it was not evaluated here.
        """
        for one in self.scores:
            if (one.system, one.scale) == candidate:
                return one.errors
        raise KeyError(candidate)

    def log_wer(self, candidate: Candidate) -> float:
        """Logarithm of the WER as a share of 1."""
        return math.log((self.errors(candidate) + UNSEEN_ERRORS) / self.words)

    def noise(self, *candidates: Candidate) -> float:
        """Variance of `log_wer` by the utterances that there are; of two candidates that of their difference."""
        dispersion = ERROR_DISPERSION if len(candidates) == 1 else PAIR_DISPERSION
        return dispersion * sum(1 / (self.errors(one) + UNSEEN_ERRORS) for one in candidates)


class Prediction(Options):
    """A figure that is expected of the target, with its interval."""

    value: float
    low: float
    high: float


class Estimate(Options):
    """What was decided on stand-in domains, and what it is expected to bring."""

    later: ClassVar = ("why",)

    system: str = Field(description="to be published")
    scale: float | None = Field(default=None, description="its λ")
    scales: dict[str, float] = Field(default_factory=dict, description="system -> the λ with the lowest mean log WER")
    why: str = ""
    gained: bool = Field(description="False: no adapted model is below the base or the source's own; see `system`")
    wer: Prediction | None = Field(
        default=None, description="expected of the published system on the target, percent; None without a stand-in"
    )
    against: dict[str, Prediction] = Field(
        default_factory=dict,
        description="system -> change of its errors, percent, by publishing; −20: a fifth fewer",
    )
    confidence: float = CONFIDENCE
    stand_ins: list[StandInScores]


def candidates_of(stand_ins: Sequence[StandInScores]) -> list[Candidate]:
    """The candidates that every stand-in has evaluated, in the first one's order."""
    common = set.intersection(*({(one.system, one.scale) for one in own.scores} for own in stand_ins))
    return [(one.system, one.scale) for one in stand_ins[0].scores if (one.system, one.scale) in common]


def best_scales(stand_ins: Sequence[StandInScores]) -> dict[str, Candidate]:
    """System -> itself at the λ with the lowest mean log WER; of equal ones the smallest."""
    found: dict[str, Candidate] = {}
    for candidate in sorted(candidates_of(stand_ins), key=lambda one: one[1] or 0.0):
        system = candidate[0]
        if system not in found or mean_log_wer(stand_ins, candidate) < mean_log_wer(stand_ins, found[system]):
            found[system] = candidate
    return found


def mean_log_wer(stand_ins: Sequence[StandInScores], candidate: Candidate) -> float:
    """Of the stand-ins, each counting the same."""
    return float(np.mean([own.log_wer(candidate) for own in stand_ins]))


def decide(stand_ins: Sequence[StandInScores], usual: str, adapted: Sequence[str]) -> Estimate:
    """Which system to publish, at which λ, and what it is expected to bring.

    The usual system is published unless another adapted one is lower on the stand-ins by more than one standard error
    of their difference: with two or three stand-ins the lowest of several figures is often lowest by chance. Where
    neither is lower than the best unadapted one (the base, or the source's own fine-tuning), that one is published.

    Args:
        stand_ins: at least one, all with the same candidates.
        usual: the system that other corpora favour.
        adapted: the systems that may be published; every other candidate knows nothing of the target's texts.
    """
    best = best_scales(stand_ins)
    ours = [best[name] for name in adapted if name in best]
    lowest = min(ours, key=lambda one: mean_log_wer(stand_ins, one))
    chosen, why = lowest, "it is the lowest on the stand-ins"
    if usual in best and lowest[0] != usual:
        change, error = difference(stand_ins, lowest, best[usual])
        if change > -error:
            chosen = best[usual]
            why = f"{BEST_ELSEWHERE}, and {_words(lowest[0])} is lower on the stand-ins by less than one standard error"
        else:
            why = f"it is lower on the stand-ins than {_words(usual)} by more than one standard error"
    unadapted = [one for name, one in best.items() if name not in adapted]
    gained = True
    if unadapted:
        rival = min(unadapted, key=lambda one: mean_log_wer(stand_ins, one))
        if mean_log_wer(stand_ins, rival) <= mean_log_wer(stand_ins, chosen):
            chosen, gained = rival, False
            why = "no adapted model makes fewer errors on the stand-ins"
    return Estimate(
        system=chosen[0],
        scale=chosen[1],
        scales={name: one[1] for name, one in best.items() if one[1] is not None},
        why=why,
        gained=gained,
        wer=expected_wer(stand_ins, chosen),
        against={name: expected_change(stand_ins, chosen, one) for name, one in best.items() if one != chosen},
        stand_ins=list(stand_ins),
    )


def _words(system: str) -> str:
    return system.replace("_", " ")


def difference(stand_ins: Sequence[StandInScores], one: Candidate, other: Candidate) -> tuple[float, float]:
    """Mean over the stand-ins of log WER(one) − log WER(other), and its standard error.

    The error is that of the spread between domains and of the errors that were counted: √(s² + mean v_i) / √k.
    """
    values = [own.log_wer(one) - own.log_wer(other) for own in stand_ins]
    noise = [own.noise(one, other) for own in stand_ins]
    spread, _ = moderated(values, PAIR_SPREAD, PAIR_DEGREES, noise)
    return float(np.mean(values)), math.sqrt((spread**2 + float(np.mean(noise))) / len(values))


def expected_wer(stand_ins: Sequence[StandInScores], candidate: Candidate) -> Prediction:
    """WER of a candidate on one more domain, percent."""
    values, noise = [own.log_wer(candidate) for own in stand_ins], [own.noise(candidate) for own in stand_ins]
    value, low, high = (100 * math.exp(one) for one in predicted(values, WER_SPREAD, WER_DEGREES, noise))
    return Prediction(value=value, low=low, high=high)


def expected_change(stand_ins: Sequence[StandInScores], candidate: Candidate, against: Candidate) -> Prediction:
    """Relative change of the errors on one more domain, percent: −20 is a fifth fewer."""
    values = [own.log_wer(candidate) - own.log_wer(against) for own in stand_ins]
    noise = [own.noise(candidate, against) for own in stand_ins]
    value, low, high = (100 * math.expm1(one) for one in predicted(values, GAIN_SPREAD, GAIN_DEGREES, noise))
    return Prediction(value=value, low=low, high=high)


def predicted(
    values: Sequence[float], spread: float, degrees: float, noise: Sequence[float] = ()
) -> tuple[float, float, float]:
    """Mean of the values, and the interval that holds one more like them with a probability of `CONFIDENCE`.

    Args:
        spread, degrees: s₀ and d₀ of the moderated variance.
        noise: variance of each value beside the spread between them; none: 0.
    """
    own = np.asarray(noise or [0.0] * len(values))
    between, freedom = moderated(values, spread, degrees, noise)
    weights = 1 / (between**2 + own)
    mean = float(np.average(values, weights=weights))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(between**2 + 1 / float(weights.sum()))
    return mean, mean - half, mean + half


def moderated(
    values: Sequence[float], spread: float, degrees: float, noise: Sequence[float] = ()
) -> tuple[float, float]:
    """Standard deviation between values, moderated by s₀ = `spread` with d₀ = `degrees`, and its degrees of freedom."""
    freedom = len(values) - 1
    own = float(np.var(values, ddof=1)) if freedom else 0.0
    own = max(0.0, own - (float(np.mean(noise)) if len(noise) else 0.0))
    total = degrees + freedom
    return math.sqrt((degrees * spread**2 + freedom * own) / total), total
