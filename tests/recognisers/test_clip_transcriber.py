"""The gate's recogniser transcribes as `transcribe` does, and is refused where it is the model that is trained."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr
import yaml
from lhotse import CutSet

from data_synth.gates.judge import GateOptions, judge
from data_synth.gates.round_trip import RoundTripOptions, load_named, load_recogniser
from speech_analogy.adaptation.runs.adapt import plan_of
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.clip_transcriber import ClipTranscriber
from tests.conftest import RATE_HZ, make_corpus

LISTENER = "speech_analogy.recognisers.clip_transcriber:ClipTranscriber"


@pytest.fixture
def entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`whisper` among the entry points, whatever was installed when."""
    information = tmp_path / "plugin" / "listener-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: listener\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[data_synth.recognisers]\nwhisper = {LISTENER}\n")
    monkeypatch.setattr(sys, "path", [str(information.parent), *sys.path])
    importlib.invalidate_caches()
    load_named.cache_clear()


def test_it_transcribes_as_transcribe_does(small_whisper: Path, noises: CutSet) -> None:
    cuts = CutSet.from_cuts(list(noises)[:4])
    expected = [row.text for row in transcribe(cuts, small_whisper, progress=False).transcripts]
    transcriber = ClipTranscriber(str(small_whisper))
    assert [transcriber(cut.load_audio()[0], RATE_HZ) for cut in cuts] == expected


def test_another_rate_is_resampled(small_whisper: Path) -> None:
    time = np.arange(2 * 48_000) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    transcriber = ClipTranscriber(str(small_whisper))
    text = transcriber(tone, 48_000)
    assert text == transcriber(soxr.resample(tone, 48_000, RATE_HZ), RATE_HZ)
    assert text != transcriber(tone, RATE_HZ)  # as it would be, three times as long, without


def trained_as(model: Path, *trained: str) -> RoundTripOptions:
    return RoundTripOptions(recogniser=LISTENER, parameters={"model": str(model)}, trained=trained)


def test_the_trained_model_is_refused_by_its_weights_under_any_name(tmp_path: Path, small_whisper: Path) -> None:
    shutil.copytree(small_whisper, tmp_path / "copy")
    mark = fingerprint(open_checkpoint(small_whisper))
    with pytest.raises(ConfigError, match="must be another recogniser"):
        load_recogniser(trained_as(tmp_path / "copy", "some/name", mark))
    load_recogniser(trained_as(tmp_path / "copy", "some/name", mark[:-1] + "x"))


@pytest.mark.usefixtures("entry_point")
def test_an_entry_point_may_name_its_weights(small_whisper: Path) -> None:
    gates = GateOptions.parse({"round_trip": {"recogniser": f"whisper:{small_whisper}"}})
    gates.load()
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(20_000) / RATE_HZ)).astype(np.float32)
    assert judge(tone, RATE_HZ, "play some jazz", gates).readings["character_error_rate"].value is not None
    both = RoundTripOptions(recogniser=f"whisper:{small_whisper}", trained=(str(small_whisper),))
    with pytest.raises(ConfigError, match="must be another recogniser"):
        load_recogniser(both)


@pytest.mark.usefixtures("entry_point")
@pytest.mark.parametrize("listening", ["whisper:{base}", LISTENER])
def test_a_recipe_whose_base_would_judge_its_own_texts_is_refused(
    tmp_path: Path, small_whisper: Path, listening: str
) -> None:
    make_corpus(tmp_path / "corpus", 24)
    gates = {"round_trip": {"recogniser": listening.format(base=small_whisper)}}
    if listening == LISTENER:
        gates["round_trip"]["parameters"] = {"model": str(small_whisper)}
    recipe = {
        "title": "t",
        "base": str(small_whisper),
        "corpus": {"kind": "folder", "path": str(tmp_path / "corpus")},
        "split": {"target_domains": ["b"], "field": "split", "source_dev": {"speakers": 1}},
        "synthesis": {"source": {"engines": "flite"}, "target": {"engines": "flite", "gates": gates}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(ConfigError, match=r"gates\.round_trip\.recogniser: must be another recogniser"):
        plan_of(tmp_path, tmp_path / "run")
    recipe["base"] = "openai/whisper-large-v3"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    _, plan = plan_of(tmp_path, tmp_path / "run")
    trained = plan.stages["synthesise-target"].record["options"]["gates"]["round_trip"]["trained"]
    assert trained == ["openai/whisper-large-v3"]
    assert plan.stages["synthesise-source"].record["options"]["gates"]["round_trip"] is None
