"""Records name what they are made of, and hold no path of the machine that made it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.model_folder import copy_record
from speech_analogy.merging.naming import known_as, without_paths
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.model_record import provenance

NAMED = [
    ("pip:whisper-tiny.en", "pip:whisper-tiny.en"),
    ("openai/whisper-small", "openai/whisper-small"),
    ("/home/ann/models/menu", "menu"),
    ("/home/ann/models/menu/", "menu"),
    ("runs/menu/model", "model"),
    ("./menu", "menu"),
    ("../menu.safetensors", "menu.safetensors"),
    ("~/menu", "menu"),
    (r"C:\Users\ann\menu", "menu"),
    ("C:/Users/ann/menu", "menu"),
    (Path("models/menu"), "menu"),
    ("/c/hub/models--openai--whisper-small/snapshots/973afd24965f72e36ca33b3055d56a652f456b4d", "openai/whisper-small"),
    ("tensors in memory", "tensors in memory"),
    ("dare+elect of 2 vectors", "dare+elect of 2 vectors"),
    ("ann/a + ann/b − pip:c", "ann/a + ann/b − pip:c"),
    ("b.safetensors − a.safetensors", "b.safetensors − a.safetensors"),
    ("sha256:9bb1", "sha256:9bb1"),
    ("", ""),
]


@pytest.mark.parametrize(("given", "name"), NAMED, ids=[str(given) for given, _ in NAMED])
def test_a_path_becomes_its_last_part_and_a_name_stays(given: str | Path, name: str) -> None:
    assert known_as(given) == name
    assert known_as(name) == name


def test_what_lies_here_is_no_name_of_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret" / "menu").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert known_as("secret/menu") == "menu"
    assert known_as(".") == tmp_path.name
    assert known_as("secret/..") == tmp_path.name


def test_what_refers_to_files_is_named_at_every_depth_and_all_else_stays() -> None:
    record = {
        "base": "/x/base",
        "window": {"slack_s": 0.24},
        "tuned_on": {"domains": ["a/b"], "digest": "00"},
        "merge": {"file": "/x/merge.yaml", "models": [{"model": "/x/one", "parameters": {"weight": 0.5}}]},
        "parents": {"c": {"path": "/x/c", "parents": {"model 1": {"path": "/x/d", "scale": 1.0}}}},
        "widened": {"model": "sha256:00"},
    }
    assert without_paths(record) == {
        "base": "base",
        "window": {"slack_s": 0.24},
        "tuned_on": {"domains": ["a/b"], "digest": "00"},
        "merge": {"file": "merge.yaml", "models": [{"model": "one", "parameters": {"weight": 0.5}}]},
        "parents": {"c": {"name": "c", "parents": {"model 1": {"name": "d", "scale": 1.0}}}},
        "widened": {"model": "sha256:00"},
    }


def test_records_of_earlier_versions_are_read_and_copied_without_their_paths(
    small_whisper: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for file in small_whisper.iterdir():
        (old / file.name).write_bytes(file.read_bytes())
    written = {"base": "/secret/base", "operation": "analogy", "parents": {"c": {"path": "/secret/c"}}}
    (old / "provenance.json").write_text(json.dumps(written), encoding="utf-8")
    named = {"base": "base", "operation": "analogy", "parents": {"c": {"name": "c"}}}
    assert provenance(old) == open_checkpoint(old).provenance == named
    copy_record(old, tmp_path)
    assert json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8")) == named
    vector = TaskVector.between(small_whisper, old)
    assert vector.base.name == "base"
    assert (vector + vector).provenance.parents[0].name == "old − small.en"


def test_weights_as_they_were_published_are_called_by_their_name(small_whisper: Path, tmp_path: Path) -> None:
    assert open_checkpoint(small_whisper).name == "small.en"  # its record says so
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in small_whisper.iterdir():
        if file.name != "provenance.json":
            (plain / file.name).write_bytes(file.read_bytes())
    assert open_checkpoint(plain).name == "plain"
    assert open_checkpoint(plain / "model.safetensors").name in ("plain", "model.safetensors")
