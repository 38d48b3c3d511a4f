"""What would fail is said in one line before any work, by a dry run too; a finished run needs nothing any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_synth.engines import load_engine
from speech_analogy.adaptation.runs.adapt import adapt, plan_of
from speech_analogy.adaptation.runs.checks import check_run
from speech_analogy.adaptation.runs.vary import do_variation, plan_variation
from speech_analogy.errors import SpeechAnalogyError
from tests.conftest import make_corpus
from tests.data_synth.installed import needs


def recipe_of(folder: Path, base: Path | str, **synthesis: object) -> Path:
    make_corpus(folder / "data", 12, domains=("a", "b", "c"))
    content = {
        "title": "checks",
        "base": str(base),
        "corpus": {"kind": "folder", "path": "data"},
        "split": {"target_domains": ["a"], "source_dev": {"prompts": 2}},
        "synthesis": {"source": {"engines": ["hibari"]}, "target": {"engines": ["hibari"]}},
        "scales": [1],
        "systems": ["target_synthetic", "analogy"],
        "evaluation": {"cluster": "prompt"},
    }
    target = {key: value for key, value in synthesis.items() if key != "language"}
    content["synthesis"]["target"] = {"engines": ["hibari"], **target}  # type: ignore[index]
    if "language" in synthesis:
        content["language"] = synthesis["language"]
    (folder / "recipe.yaml").write_text(json.dumps(content))
    return folder / "recipe.yaml"


@pytest.mark.parametrize(
    ("synthesis", "said"),
    [
        ({"engines": ["hibarri"]}, r"synthesis.target: engine: no such .*'hibarri'.*did you mean 'hibari'"),
        ({"engines": ["hibari:hart"]}, r"synthesis.target: hibari: .* no such voice .*did you mean 'heart'"),
        ({"engines": ["espeak-ng:fr-fr"]}, r"texts are in 'en', and this voice speaks 'fr-fr' .*use espeak-ng:en-us"),
        ({"parameters": {"hibari": {"pitch": 3}}}, "no such parameter"),
        ({"language": "de"}, "synthesis: engines: the texts are in 'de', and the engine has no voice .*use espeak-ng"),
        ({"language": "xx"}, "no installed engine speaks this language"),
    ],
)
def test_speech_that_cannot_be_made_is_refused_before_any_work(
    tmp_path: Path, small_whisper: Path, synthesis: dict[str, object], said: str
) -> None:
    needs("hibari", "espeak-ng")
    recipe = recipe_of(tmp_path, small_whisper, **synthesis)
    with pytest.raises(SpeechAnalogyError, match=said) as refused:
        adapt(recipe, tmp_path / "run", progress=False)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()
    resolved, plan = plan_of(recipe, tmp_path / "run")
    with pytest.raises(SpeechAnalogyError, match=said):
        check_run(resolved, [plan])
    variation = plan_variation(recipe, tmp_path / "runs", "training.epochs", ["1", "2"])
    with pytest.raises(SpeechAnalogyError, match=said):
        do_variation(variation, progress=False)
    assert not (tmp_path / "runs").exists()


def test_a_missing_program_is_named_with_its_command(
    tmp_path: Path, small_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path, small_whisper, engines=["flite"])
    monkeypatch.setenv("PATH", "")
    load_engine.cache_clear()
    try:
        with pytest.raises(SpeechAnalogyError, match=r"flite: the program is not installed; .*apt install flite"):
            adapt(recipe, tmp_path / "run", progress=False)
    finally:
        load_engine.cache_clear()


def test_weights_that_cannot_be_had_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("hibari")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    recipe = recipe_of(tmp_path, "somebody/whisper-unknown")
    with pytest.raises(SpeechAnalogyError, match=r"HF_HUB_OFFLINE is set.*pip:whisper-tiny.en"):
        adapt(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
