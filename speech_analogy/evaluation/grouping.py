"""Which utterances stand or fall together: clusters by speaker where speakers are known, else by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from speech_analogy.corpora.reading import MOST_UNKNOWN, prompt_of
from speech_analogy.evaluation.results import Hypothesis

Cluster = Literal["prompt", "speaker"]
UNKNOWN_AS_ONE = "speakers unknown"  # the cluster of the few utterances whose speaker is unknown


@dataclass(frozen=True)
class Grouping:
    """Rows with their clusters, by what these are, and why that is not what was asked for."""

    rows: list[Hypothesis]
    kind: Cluster
    note: str = ""

    @property
    def clusters(self) -> int:
        return len({row.cluster for row in self.rows})

    @property
    def speakers(self) -> int:
        """How many are known by name; 0: none."""
        return len({speaker for row in self.rows if (speaker := _speaker(row))})


def grouped(rows: Sequence[Hypothesis], wanted: Cluster) -> Grouping:
    """Rows of one test with the clusters that intervals are to be taken over.

    By speaker, where two or more are known, of at least half of the utterances; those without one are then a single
    cluster together. By prompt where that is wanted or where speakers are not known; the note says so.
    """
    if wanted == "prompt":
        return Grouping([_in(row, _prompt(row, wanted)) for row in rows], "prompt")
    speakers = [_speaker(row) for row in rows]
    unknown = speakers.count("")
    known = len(set(speakers) - {""})
    if known < 2 or unknown > MOST_UNKNOWN * len(rows):
        note = _why_prompts(known, unknown, len(rows))
        return Grouping([_in(row, _prompt(row, wanted)) for row in rows], "prompt", note)
    note = f"{unknown} utterances of unknown speakers count as one speaker" if unknown else ""
    found = [_in(row, speaker or UNKNOWN_AS_ONE) for row, speaker in zip(rows, speakers, strict=True)]
    return Grouping(found, "speaker", note)


def _speaker(row: Hypothesis) -> str:
    """The speaker's name, or nothing; rows of earlier versions have the utterance's own id where none is known."""
    return "" if row.speaker == row.id else row.speaker


def _why_prompts(known: int, unknown: int, utterances: int) -> str:
    if known == 0:
        return "no speaker is known"
    if unknown == 0:
        return "there is one speaker"
    return f"the speaker of {unknown} of {utterances} utterances is unknown"


def _in(row: Hypothesis, cluster: str) -> Hypothesis:
    return row if row.cluster == cluster else row.model_copy(update={"cluster": cluster})


def _prompt(row: Hypothesis, wanted: Cluster) -> str:
    """Rows of earlier versions have the prompt as their cluster where clusters were prompts."""
    return row.prompt or (row.cluster if wanted == "prompt" and row.cluster else prompt_of(row.reference))
