"""How far a run's intervals can be trusted, in words and as a mark in its tables."""

from __future__ import annotations

from speech_analogy.evaluation.results import Results, Test
from speech_analogy.evaluation.significance import FEWEST_CLUSTERS
from speech_analogy.foundation.page import wording

TOO_NARROW = "†"
"""Stands behind an interval that is too narrow to trust."""


def mark(results: Results) -> str:
    """What stands behind every interval of these results: nothing, where they can be trusted."""
    return f" {TOO_NARROW}" if results.too_few_clusters else ""


def counted(test: Test) -> str:
    """What intervals are taken over, and how many there are: `12 speakers`."""
    over = wording.plural(test.clusters, test.cluster)
    return f"{over} ({test.cluster_note})" if test.cluster_note else over


def caution(clusters: int, kind: str = "cluster") -> str:
    """What intervals over so few clusters are worth; nothing where there are enough."""
    if clusters >= FEWEST_CLUSTERS:
        return ""
    of = f"{wording.plural(clusters, kind)}, fewer than {FEWEST_CLUSTERS}"
    return f"{TOO_NARROW} With {of}, the intervals are too narrow to trust, and no p-value is given."


def speakers(test: Test) -> str:
    """Whose recordings: `24 speakers`."""
    return wording.plural(test.speakers, "speaker") if test.speakers else "unknown speakers"
