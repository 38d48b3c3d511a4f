"""How far a run's intervals can be trusted, in words and as a mark in its tables."""

from __future__ import annotations

from speech_analogy.evaluation.results import Results, Test
from speech_analogy.evaluation.significance import FEWEST_CLUSTERS
from speech_analogy.foundation.page import wording

TOO_NARROW = "†"
"""Stands behind an interval that is too narrow to trust."""
IN_TRAINING = "‡"
"""Begins what is said of a test that was in training."""


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


def cautions(results: Results) -> list[str]:
    """What every table of these results is to be read with: too few clusters, a test that was in training."""
    found = [caution(results.test.clusters, results.test.cluster)] if results.too_few_clusters else []
    return [*found, *met(results.test)]


def met(test: Test) -> list[str]:
    """What of the test was in training; nothing where nothing was, or where it is not known."""
    found = test.overlap
    if found is None or not (found.recordings or found.speakers):
        return []
    what = []
    if found.recordings:
        what.append(f"{found.recordings:,} of {wording.plural(test.utterances, 'recording')}")
    if found.speakers:
        what.append(f"{found.speakers:,} of {wording.plural(test.speakers, 'speaker')}")
    return [f"{IN_TRAINING} Of this test, {wording.listing(what)} were in training: on new ones expect more errors."]


def spoken(results: Results) -> str:
    """How many of the test's texts TTS has spoken; nothing where that is not known."""
    found = results.test.texts
    if found is None:
        return ""
    if found.spoken == found.texts:
        return f"TTS has spoken all {wording.plural(found.texts, 'text')} of the test: a closed vocabulary."
    return f"TTS has spoken {found.spoken:,} of the test's {wording.plural(found.texts, 'text')}."


def is_parted(results: Results) -> bool:
    """Has the test both texts that TTS has spoken and others, so that WER differs by them?"""
    return any(one.wer_spoken is not None and one.wer_unspoken is not None for one in results.systems)


def speakers(test: Test) -> str:
    """Whose recordings: `24 speakers`."""
    return wording.plural(test.speakers, "speaker") if test.speakers else "unknown speakers"
