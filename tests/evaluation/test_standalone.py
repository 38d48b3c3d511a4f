"""`evaluate` on its own: what models are called, and that they are asked what they were trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.errors import DataError
from speech_analogy.evaluation.standalone import check_new, file_of, names_of


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["runs/a/model", "runs/b/model"], ["a/model", "b/model"]),
        (["runs/a/model", "other/b/final/"], ["model", "final"]),
        (["x/model", "y/model", "y/tuned"], ["x/model", "y/model", "tuned"]),
        (["one/run/model", "two/run/model"], ["one/run/model", "two/run/model"]),
        (["runs/analogy", "runs/mixed"], ["runs/analogy", "runs/mixed"]),  # else they would be called by those systems
        (["m", "m"], ["m", "m (2)"]),
        (["openai/whisper-tiny", "pip:whisper-base"], ["whisper-tiny", "pip:whisper-base"]),
    ],
)
def test_models_are_called_by_their_folders(models: list[str], names: list[str]) -> None:
    assert names_of(models) == names
    assert len({file_of(name) for name in names}) == len(names)
    assert all(file_of(name).count("/") == 1 for name in names)


def test_a_model_is_asked_what_it_was_trained_on(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(small_whisper, model)
    test = CutSet.from_cuts(list(noises)[:6])
    assert check_new(test, [str(model)], False) == (None, None)  # it does not say
    trained = SeenSpeech.of(noises)
    (model / "provenance.json").write_text(json.dumps({"seen": trained.record()}))
    with pytest.raises(DataError, match=r"recordings of the test were in training .*6 of 6.*--allow-overlap"):
        check_new(test, [str(small_whisper), str(model)], False)
    overlap, spoken = check_new(test, [str(model)], True)
    assert overlap is not None
    assert (overlap.recordings, overlap.speakers, overlap.utterances, spoken) == (6, 6, 6, frozenset())
