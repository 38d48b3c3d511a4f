"""Several systems as one: of each utterance the transcript that the others agree with most, and the best of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import compare_hypotheses
from speech_analogy.evaluation.measures.consensus import least_edits
from speech_analogy.evaluation.results import Ensemble, Hypothesis
from speech_analogy.evaluation.significance import holm, wer_interval

CONSENSUS = "consensus"
FEWEST_MEMBERS = 3  # of two that differ, the first would always win


def consensus(members: Mapping[str, Sequence[Hypothesis]]) -> tuple[Ensemble, list[Hypothesis]]:
    """The consensus of three systems or more, compared with each of them, and its transcripts.

    Args:
        members: system -> its transcripts; all on the same utterances, the best trusted system first.

    Raises:
        DataError: there are fewer than three, or they are not on the same utterances.
    """
    if len(members) < FEWEST_MEMBERS:
        raise DataError(f"a consensus needs {FEWEST_MEMBERS} systems or more", value=len(members))
    lists = list(members.values())
    ids = [[row.id for row in rows] for rows in lists]
    if any(own != ids[0] for own in ids):
        raise DataError("a consensus needs the same utterances of every system", field=", ".join(members))
    chosen, least = [], 0
    for rows in zip(*lists, strict=True):
        chosen.append(rows[least_edits([row.hypothesis_normalised for row in rows])])
        least += min(map(_errors, rows))
    words = np.array([row.words for row in chosen], dtype=np.int64)
    errors = np.array([_errors(row) for row in chosen], dtype=np.int64)
    compared = [compare_hypotheses(chosen, list(rows), (CONSENSUS, name)) for name, rows in members.items()]
    corrected = holm({one.against: one.p_value for one in compared})
    found = Ensemble(
        members=list(members),
        decodings=len(members),
        wer=100.0 * float(errors.sum()) / float(words.sum()),
        ci95=wer_interval(errors, words, [row.cluster for row in chosen]),
        oracle_wer=100.0 * least / float(words.sum()),
        comparisons=[one.model_copy(update={"p_holm": corrected[one.against]}) for one in compared],
    )
    return found, chosen


def _errors(row: Hypothesis) -> int:
    return row.substitutions + row.deletions + row.insertions
