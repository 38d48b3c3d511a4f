"""Means of models, and of which base a made model is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from speech_analogy.adaptation.stages.made_models import mean_stage
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER
from speech_analogy.adaptation.stages.params.model_params import MeanParams
from speech_analogy.errors import CheckpointError
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.adaptation.building import loaded, model_of, moved, work_of


def test_a_soup_is_the_mean_and_stays_of_one_base(models: dict[str, Path], tmp_path: Path) -> None:
    names = ("mixed", "source_real", "target_synthetic")
    inputs = {name: tmp_path / name for name in names}
    for name, folder in inputs.items():
        folder.mkdir()
        (folder / MODEL_FOLDER).symlink_to(models[name])
    work = work_of(tmp_path / "soup", MeanParams(models=tuple(map(model_of, names))), inputs)
    mean_stage(work)
    made = load_file(work.folder / MODEL_FOLDER / "model.safetensors")
    parts = [loaded(models, name) for name in names]
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, sum(part[name] for part in parts) / 3, atol=1e-6, rtol=0)
    WhisperRecogniser(work.folder / MODEL_FOLDER)
    other = tmp_path / "other"
    shutil.copytree(models["mixed"], other / MODEL_FOLDER)
    for folder, base in ((inputs["mixed"], "sha256:1"), (other, "sha256:2")):
        told = folder / MODEL_FOLDER / "provenance.json"
        if folder is not other:
            (folder / MODEL_FOLDER).unlink()
            shutil.copytree(models["mixed"], folder / MODEL_FOLDER)
        told.write_text(json.dumps({"base": "x", "base_fingerprint": base}))
    two = MeanParams(models=(model_of("mixed"), model_of("other")))
    work = work_of(tmp_path / "no", two, {**inputs, "other": other})
    with pytest.raises(CheckpointError, match="one base"):
        mean_stage(work)
    assert not (tmp_path / "no" / MODEL_FOLDER).exists()


def test_one_lineage_takes_the_base_itself_and_refuses_a_stranger(
    models: dict[str, Path], small_whisper: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(small_whisper, base)
    (base / "provenance.json").write_text(json.dumps({"base_fingerprint": "of an older base"}))
    tuned = moved(base, tmp_path / "tuned", 1)
    record = {"base_fingerprint": fingerprint(open_checkpoint(base))}
    (tuned / "provenance.json").write_text(json.dumps(record))
    require_same_base([open_checkpoint(path) for path in (tuned, tuned, base)])
    analogy(tuned, tuned, base, -0.5, tmp_path / "half", base=base)
    told = json.loads((tmp_path / "half" / "provenance.json").read_text())
    assert told["base_fingerprint"] == record["base_fingerprint"]
    (base / "provenance.json").write_text(json.dumps({}))
    require_same_base([open_checkpoint(path) for path in (tuned, tuned, base)])
    stranger = moved(base, tmp_path / "stranger", 2)
    (stranger / "provenance.json").write_text(json.dumps({"base_fingerprint": "another"}))
    with pytest.raises(CheckpointError, match="one base"):
        require_same_base([open_checkpoint(path) for path in (tuned, stranger, base)])
