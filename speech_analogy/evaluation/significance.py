"""How sure a WER, and a difference of two, can be: by clusters, paired between systems.

Utterances of one prompt or one speaker stand or fall together, so clusters are drawn, not utterances. With ten
clusters or more their halves are: where nothing differs, a cluster's difference is as likely to have either sign, so a
test flips signs, and its inversion is the interval: the WERs (or differences) of random parts of the clusters are
typical values of the true one. This keeps its level at ten clusters, where a bootstrap finds a difference in 9 to
11 of 100 pairs of systems that do not differ (tests/benchmarks/intervals/RESULTS.md). With fewer, nothing does: an
interval is a bootstrap's, too narrow to trust, and there is no p-value.

Sources: J. A. Hartigan, "Using subsample values as typical values", J. Am. Stat. Assoc. 64 (1969); R. A. Fisher, "The
design of experiments" (1935), section 21; for few clusters M. Bisani and H. Ney, "Bootstrap estimates for confidence
intervals in ASR performance evaluation", ICASSP 2004.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

REPLICATES = 10_000
CONFIDENCE_PERCENT = 95.0
FEWEST_CLUSTERS = 10
"""With fewer an interval is too narrow to trust, and there is no p-value."""
DETECTABLE_ERRORS = 1.959964 + 0.841621
"""Standard errors: a true difference of so many is found by a two-sided test at 5 % in 80 of 100 tests."""
Key = TypeVar("Key", bound=Hashable)
_BLOCK = 500  # replicates drawn at a time, which bounds the memory


@dataclass(frozen=True)
class Difference:
    """WER(system) − WER(against), in points, paired over the same utterances."""

    points: float
    relative: float
    ci95: tuple[float, float]
    p_value: float | None
    """Two-sided; None with fewer than FEWEST_CLUSTERS clusters."""
    detectable: float | None = None
    """The smallest difference, in points, that such a test tells with 80 % power; None where `p_value` is None."""


def wer_interval(errors: np.ndarray, words: np.ndarray, clusters: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % interval of 100 Σerrors / Σwords; errors and words are (utterances,)."""
    return _interval(_by_cluster(np.stack([errors, words]), clusters), seed)


def compare(
    system: np.ndarray, against: np.ndarray, words: np.ndarray, clusters: Sequence[str], seed: int = 0
) -> Difference:
    """Paired comparison of two systems' errors per utterance, each (utterances,).

    The p-value is two-sided: how often Σ ±d over clusters, with random signs, lies at least as far from zero as Σ d,
    (1 + count) / (1 + draws), exact up to 14 clusters, and else never below 1 / (1 + REPLICATES). It is at most 0.05
    where the interval does not hold zero.
    """
    sums = _by_cluster(np.stack([system - against, words]), clusters)
    difference, spoken = sums.sum(1)
    others = float(np.sum(against))
    return Difference(
        points=100.0 * float(difference) / float(spoken),
        relative=float(difference) / others if others else 0.0,
        ci95=_interval(sums, seed),
        p_value=_p_value(sums, seed),
        detectable=_detectable(sums, seed),
    )


def gap_interval(
    errors: np.ndarray,
    words: np.ndarray,
    worst: np.ndarray,
    best: np.ndarray,
    clusters: Sequence[str],
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of WER(worst) − WER(best) of two groups of utterances, by a bootstrap of the clusters.

    A cluster may have utterances of both. Draws in which a group has no word are left out.

    Args:
        errors, words: (utterances,).
        worst, best: which utterances are in the group; bool, (utterances,).
    """
    rows = np.stack([errors * worst, words * worst, errors * best, words * best])
    draws = _resampled(_by_cluster(rows, clusters), seed)
    draws = draws[:, (draws[1] > 0) & (draws[3] > 0)]
    tail = (100.0 - CONFIDENCE_PERCENT) / 2.0
    low, high = np.percentile(100.0 * (draws[0] / draws[1] - draws[2] / draws[3]), [tail, 100.0 - tail])
    return float(low), float(high)


def holm(p_values: Mapping[Key, float | None]) -> dict[Key, float | None]:
    """Adjusted p-values of several tests, in the order given: the chance of one false finding among all is kept.

    What has no p-value counts as no test and gets none.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
    """
    tested = {key: value for key, value in p_values.items() if value is not None}
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for place, key in enumerate(sorted(tested, key=lambda key: tested[key])):
        largest = max(largest, min(1.0, (len(tested) - place) * tested[key]))
        adjusted[key] = largest
    return {key: adjusted.get(key) for key in p_values}


def _detectable(sums: np.ndarray, seed: int) -> float | None:
    """(z_0.975 + z_0.8) standard errors of 100 Σ row 0 / Σ row 1, of sums (2, clusters), by a bootstrap of clusters."""
    if sums.shape[1] < FEWEST_CLUSTERS:
        return None
    draws = _resampled(sums, seed)
    draws = draws[:, draws[1] > 0]
    return DETECTABLE_ERRORS * float(np.std(100.0 * draws[0] / draws[1], ddof=1))


def _by_cluster(rows: np.ndarray, clusters: Sequence[str]) -> np.ndarray:
    """Sum (rows, utterances) into (rows, clusters)."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((len(rows), len(names)), dtype=np.float64)
    for sum_, row in zip(sums, rows, strict=True):
        np.add.at(sum_, index, row)
    return sums


def _p_value(sums: np.ndarray, seed: int) -> float | None:
    """Of sums (2, clusters): what is tested to be zero, and words, which do not matter here."""
    if sums.shape[1] < FEWEST_CLUSTERS:
        return None
    observed = abs(float(sums[0].sum()))
    tolerance = 1e-9 * (1.0 + observed)  # equal to rounding counts as equal
    flipped = sums[0].sum() - 2.0 * _parts(sums, seed)[0]
    return float((1 + np.sum(np.abs(flipped) >= observed - tolerance)) / (1 + len(flipped)))


def _interval(sums: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of 100 Σ row 0 / Σ row 1, of sums (2, clusters)."""
    if sums.shape[1] < FEWEST_CLUSTERS:
        draws = _resampled(sums, seed)
        tail = (100.0 - CONFIDENCE_PERCENT) / 2.0
        low, high = np.percentile(100.0 * draws[0] / draws[1], [tail, 100.0 - tail])
        return float(low), float(high)
    parts = _parts(sums, seed)
    rests = sums.sum(1, keepdims=True) - parts
    inside = np.where(parts[1] > 0, parts[0] / np.maximum(parts[1], 1.0), np.nan)
    outside = np.where(rests[1] > 0, rests[0] / np.maximum(rests[1], 1.0), np.nan)
    lower = np.sort(np.where(np.isnan(inside + outside), -np.inf, np.minimum(inside, outside)))
    upper = np.sort(np.where(np.isnan(inside + outside), np.inf, np.maximum(inside, outside)))
    # A value is kept where a flip of signs around it is as extreme in more than 5 % of the draws and the data.
    beyond = int((100.0 - CONFIDENCE_PERCENT) / 100.0 * (1 + len(lower)) + 1e-9)
    return 100.0 * float(lower[beyond - 1]), 100.0 * float(upper[len(upper) - beyond])


def _parts(sums: np.ndarray, seed: int) -> np.ndarray:
    """Totals of parts of the clusters, (2, parts): every division into two once, or REPLICATES random ones."""
    return np.concatenate([sums @ chosen.T for chosen in _choices(sums.shape[1], seed)], axis=1)


def _choices(clusters: int, seed: int) -> Iterator[np.ndarray]:
    """Which clusters are in a part, as 0 and 1: (parts, clusters), in blocks."""
    divisions = 2 ** (clusters - 1) if clusters < 64 else None
    if divisions is not None and divisions <= REPLICATES:
        numbers = np.arange(1, divisions)  # without the empty part
        yield (numbers[:, None] >> np.arange(clusters) & 1).astype(np.float64)
        return
    generator = np.random.default_rng(seed)
    for start in range(0, REPLICATES, _BLOCK):
        size = min(_BLOCK, REPLICATES - start)
        yield generator.integers(0, 2, (size, clusters), dtype=np.uint8).astype(np.float64)


def _resampled(sums: np.ndarray, seed: int) -> np.ndarray:
    """Totals of as many clusters as there are, drawn with replacement: (rows, replicates)."""
    count = sums.shape[1]
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=REPLICATES)
    return np.asarray(sums @ weights.T)
