"""Errors of a long transcript belong to the utterances that they stand at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from joining import PAUSES_S, join, owners_of, shared_out
from lhotse import MonoCut, SupervisionSegment

from speech_analogy.corpora.audio import load_audio, recording_of
from speech_analogy.corpora.cuts import text_of
from speech_analogy.evaluation.normalise import normaliser

RATE_HZ = 16_000


def spoken(folder: Path, texts: list[str]) -> list[MonoCut]:
    generator, cuts = np.random.default_rng(0), []
    for index, text in enumerate(texts):
        path = folder / f"{index}.wav"
        soundfile.write(path, generator.uniform(-0.3, 0.3, RATE_HZ).astype(np.float32), RATE_HZ)
        supervision = SupervisionSegment(str(index), str(index), 0.0, 1.0, text=text)
        cuts.append(MonoCut(str(index), 0.0, 1.0, 0, supervisions=[supervision], recording=recording_of(path, "r")))
    return cuts


def test_every_utterance_is_in_one_recording_with_a_pause_after_it(tmp_path: Path) -> None:
    cuts = spoken(tmp_path, ["a b", "c", "d", "e", "f"])
    joined = join(cuts, 4 / 60, tmp_path / "long")
    assert [row for one in joined for row in one.utterances] == list(range(5))
    assert len(joined) > 1
    for one in joined:
        count = len(one.utterances)
        assert text_of(one.cut) == " ".join(text_of(cuts[row]) for row in one.utterances)
        assert count * (1 + PAUSES_S[0]) <= one.cut.duration <= count * (1 + PAUSES_S[1])
        first = load_audio(cuts[one.utterances[0]])
        np.testing.assert_allclose(load_audio(one.cut)[: len(first)], first, atol=1e-4)


@pytest.mark.parametrize(
    ("transcript", "errors"),
    [
        ("the red fox a green frog blue", [0, 0, 0]),
        ("the red a green frog blue", [1, 0, 0]),  # a deletion
        ("the red fox a brown frog blue", [0, 1, 0]),  # a substitution
        ("the red fox a green frog blue blue whale", [0, 0, 2]),  # insertions at the end
        ("a green frog blue", [3, 0, 0]),
        ("", [3, 3, 1]),
    ],
)
def test_errors_go_to_their_utterances(tmp_path: Path, transcript: str, errors: list[int]) -> None:
    texts = ["The red fox.", "A green frog", "blue"]
    joined = join(spoken(tmp_path, texts), 1, tmp_path / "long")
    found = shared_out(joined, [transcript], texts, normaliser("en"))
    assert found.words.tolist() == [3, 3, 1]
    assert found.errors.tolist() == errors


def test_words_that_run_together_at_a_border_go_to_the_one_before() -> None:
    assert owners_of(["a", "b", "c"], [["a"], ["b", "c"]]) == [0, 1, 1]
    assert owners_of(["a", "12", "c"], [["a", "1"], ["2", "c"]]) == [0, 0, 1]
    assert owners_of(["12", "c"], [["1"], ["2", "c"]]) == [1, 1]
