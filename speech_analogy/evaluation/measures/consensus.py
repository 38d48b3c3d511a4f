"""One transcript out of those of several systems: the one with the fewest word edits to all others.

With equal trust in every system that is the hypothesis of minimum Bayes risk, the risk being expected word edits:
V. Goel, W. J. Byrne, "Minimum Bayes-risk automatic speech recognition", Computer Speech and Language 14 (2000),
equation 4, over the list of the systems' hypotheses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def least_edits(hypotheses: Sequence[str]) -> int:
    """Which hypothesis has the fewest word edits to all others together; of equal ones the first.

    Args:
        hypotheses: of one utterance, normalised; best trusted first.
    """
    words = [text.split() for text in hypotheses]
    distances: dict[tuple[int, int], int] = {}
    for row in range(len(words)):
        for column in range(row):
            distances[column, row] = word_edits(words[column], words[row])
    risks = [
        sum(distances[min(row, other), max(row, other)] for other in range(len(words)) if other != row)
        for row in range(len(words))
    ]
    return min(range(len(risks)), key=risks.__getitem__)


def word_edits(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest substitutions, deletions and insertions of words that turn one text into the other."""
    row = np.arange(len(other) + 1)
    for number, word in enumerate(one, start=1):
        changed = row[:-1] + np.fromiter((word != said for said in other), dtype=np.int64, count=len(other))
        best = np.concatenate([[number], np.minimum(changed, row[1:] + 1)])
        # An insertion costs one more than what stands to its left: a running minimum of cost less place.
        row = np.minimum.accumulate(best - np.arange(len(best))) + np.arange(len(best))
    return int(row[-1])
