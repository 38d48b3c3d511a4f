"""`finetune` and `evaluate` on several sources of cuts, shards of Shar among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.corpora.read import write_cuts
from tests.cli.conftest import Run
from tests.cli.running import fails


def test_shards_and_files_are_taken_together(
    run: Run, noises: CutSet, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    shar, file, model = tmp_path / "part", tmp_path / "more.jsonl", tmp_path / "model"
    listed = list(noises)
    shar.mkdir()
    CutSet.from_cuts(listed[:16]).to_shar(shar, fields={"recording": "flac"}, shard_size=6)
    write_cuts(CutSet.from_cuts(listed[16:]), file)
    told = ("--base", small_whisper, "--buffer", 12, "--epochs", 1, "--quiet")
    tuned = run("finetune", shar, file, *told, "--out", model)
    assert tuned.returncode == 0, tuned.stderr
    assert json.loads((model / "provenance.json").read_text())["tuned_on"]["utterances"] == 24
    told = ("--model", small_whisper, "--window", "trimmed", "--quiet")
    scored = run("evaluate", shar, file, *told, "--out", tmp_path / "results")
    assert scored.returncode == 0, scored.stderr
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert (results["test"]["title"], results["test"]["utterances"]) == ("part, more.jsonl", 24)
    fails(run("evaluate", shar, file, "--model", model), "overlap")
    fails(run("finetune", shar, "--out", tmp_path / "m", "--buffer", 5, "--base", small_whisper), "at most 5 cuts")
