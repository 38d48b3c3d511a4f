"""How sure a WER, and a difference of two, can be: a bootstrap that resamples clusters, paired between systems.

Utterances of one prompt or one speaker stand or fall together, so clusters are resampled, not utterances.
Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

REPLICATES = 10_000
CONFIDENCE_PERCENT = 95.0
Key = TypeVar("Key", bound=Hashable)
_BLOCK = 500  # replicates drawn at a time, which bounds the memory


@dataclass(frozen=True)
class Difference:
    """WER(system) − WER(against), in points, paired over the same utterances."""

    points: float
    relative: float
    ci95: tuple[float, float]
    p_value: float


def wer_interval(errors: np.ndarray, words: np.ndarray, clusters: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of 100 Σerrors / Σwords; errors and words are (utterances,)."""
    sums = _by_cluster(np.stack([errors, words]), clusters)
    draws = _replicates(sums, seed)
    return _interval(100.0 * draws[0] / draws[1])


def compare(
    system: np.ndarray, against: np.ndarray, words: np.ndarray, clusters: Sequence[str], seed: int = 0
) -> Difference:
    """Paired comparison of two systems' errors per utterance, each (utterances,).

    The p-value is two-sided: how often a resampled difference lies at least as far from the observed one as the
    observed one lies from zero, (1 + count) / (1 + replicates), so it is never below 1 / (1 + replicates).
    """
    sums = _by_cluster(np.stack([system, against, words]), clusters)
    total = sums.sum(1)
    observed = 100.0 * float(total[0] - total[1]) / float(total[2])
    draws = _replicates(sums, seed)
    differences = 100.0 * (draws[0] - draws[1]) / draws[2]
    tolerance = 1e-12 * (1.0 + abs(observed))  # equal to rounding counts as equal
    beyond = int(np.sum(np.abs(differences - observed) >= abs(observed) - tolerance))
    relative = float(total[0] - total[1]) / float(total[1]) if total[1] else 0.0
    return Difference(observed, relative, _interval(differences), (1 + beyond) / (1 + REPLICATES))


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Adjusted p-values of several tests, in the order given: the chance of one false finding among all is kept.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
    """
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for place, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[key]))
        adjusted[key] = largest
    return {key: adjusted[key] for key in p_values}


def _by_cluster(rows: np.ndarray, clusters: Sequence[str]) -> np.ndarray:
    """Sum (rows, utterances) into (rows, clusters)."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((len(rows), len(names)), dtype=np.float64)
    for sum_, row in zip(sums, rows, strict=True):
        np.add.at(sum_, index, row)
    return sums


def _replicates(sums: np.ndarray, seed: int) -> np.ndarray:
    """Totals of as many clusters as there are, drawn with replacement: (rows, replicates)."""
    generator = np.random.default_rng(seed)
    count = sums.shape[1]
    blocks = []
    for start in range(0, REPLICATES, _BLOCK):
        size = min(_BLOCK, REPLICATES - start)
        weights = generator.multinomial(count, np.full(count, 1.0 / count), size=size)  # (size, clusters)
        blocks.append(sums @ weights.T)
    return np.concatenate(blocks, axis=1)


def _interval(values: np.ndarray) -> tuple[float, float]:
    tail = (100.0 - CONFIDENCE_PERCENT) / 2.0
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return float(low), float(high)
