"""What intervals are taken over: speakers where they are known, prompts where they are not, and what is said of it."""

from __future__ import annotations

import pytest

from speech_analogy.corpora.reading import prompt_of
from speech_analogy.evaluation.grouping import Cluster, grouped
from speech_analogy.evaluation.results import Hypothesis


def _rows(*said: tuple[str, str, str]) -> list[Hypothesis]:
    """(id, speaker, reference) -> rows."""
    return [
        Hypothesis(
            id=identity, domain="", speaker=speaker, cluster="", prompt=prompt_of(text), audio="", duration_s=1,
            reference=text, hypothesis="", reference_normalised=text, hypothesis_normalised="", substitutions=0,
            deletions=0, insertions=0, words=1,
        )
        for identity, speaker, text in said
    ]  # fmt: skip


def test_known_speakers_are_the_clusters() -> None:
    found = grouped(_rows(("1", "ann", "yes"), ("2", "bob", "yes"), ("3", "ann", "no")), "speaker")
    assert [row.cluster for row in found.rows] == ["ann", "bob", "ann"]
    assert (found.kind, found.note, found.clusters, found.speakers) == ("speaker", "", 2, 2)


@pytest.mark.parametrize(
    ("speakers", "known", "note"),
    [
        (["", "", ""], 0, "no speaker is known"),
        (["1", "2", "3"], 0, "no speaker is known"),  # as earlier files have it: the utterance's own id
        (["ann", "ann", "ann"], 1, "there is one speaker"),
        (["ann", "", ""], 1, "the speaker of 2 of 3 utterances is unknown"),
    ],
)
def test_unknown_speakers_and_one_speaker_go_by_prompt(speakers: list[str], known: int, note: str) -> None:
    found = grouped(_rows(("1", speakers[0], "Yes."), ("2", speakers[1], "yes"), ("3", speakers[2], "no")), "speaker")
    assert (found.kind, found.note, found.clusters, found.speakers) == ("prompt", note, 2, known)
    assert found.rows[0].cluster == found.rows[1].cluster == prompt_of("yes")


def test_a_few_unknown_speakers_are_one_cluster() -> None:
    said = [("1", "ann", "a"), ("2", "bob", "b"), ("3", "", "c"), ("4", "", "d"), ("5", "ann", "e")]
    found = grouped(_rows(*said), "speaker")
    assert (found.kind, found.clusters, found.speakers) == ("speaker", 3, 2)
    assert found.rows[2].cluster == found.rows[3].cluster
    assert found.note == "2 utterances of unknown speakers count as one speaker"


@pytest.mark.parametrize("wanted", ["prompt", "speaker"])
def test_rows_of_earlier_files_have_no_prompt(wanted: Cluster) -> None:
    """Their cluster is the prompt where that was what was asked for, and else the prompt is that of the text."""
    rows = [row.model_copy(update={"prompt": "", "cluster": "slurp-7"}) for row in _rows(("1", "1", "yes"))]
    (row,) = grouped(rows, wanted).rows
    assert row.cluster == ("slurp-7" if wanted == "prompt" else prompt_of("yes"))
