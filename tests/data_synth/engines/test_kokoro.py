"""Kokoro through its package: a stand-in with the package's interface, and the real model with random weights."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from data_synth.engines import Failure, Utterance, Waveform
from data_synth.engines.kokoro import WEIGHTS, KokoroEngine
from speech_analogy.errors import SynthesisError

REAL = importlib.util.find_spec("kokoro") is not None and importlib.util.find_spec("spacy") is not None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Kokoro's repository is laid out."""
    (tmp_path / "voices").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / WEIGHTS).write_bytes(b"weights")
    for voice in ("af_heart", "bm_george", "ef_dora"):
        torch.save(torch.zeros(510, 1, 256), tmp_path / "voices" / f"{voice}.pt")
    monkeypatch.setenv("DATA_SYNTH_KOKORO", str(tmp_path))
    monkeypatch.setenv("DATA_SYNTH_DEVICE", "cpu")
    return tmp_path


class Model(torch.nn.Module):
    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, repo_id: str, config: str, model: str) -> None:
        super().__init__()
        self.made.append({"repo_id": repo_id, "config": config, "model": model})


class Pipeline:
    """What `KPipeline` takes and gives: results of one clause each."""

    made: ClassVar[list[str]] = []

    def __init__(self, lang_code: str, repo_id: str, model: Model) -> None:
        self.lang_code, self.model = lang_code, model
        self.made.append(lang_code)

    def __call__(self, text: str, voice: str, speed: float) -> Iterator[Any]:
        assert torch.load(voice, weights_only=True).shape == (510, 1, 256)
        for clause in filter(None, text.split(".")):
            yield types.SimpleNamespace(audio=torch.rand(round(1000 * len(clause) / speed)) - 0.5)


@pytest.fixture
def engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> KokoroEngine:
    package: Any = types.ModuleType("kokoro")
    package.KModel, package.KPipeline = Model, Pipeline
    monkeypatch.setitem(sys.modules, "kokoro", package)
    monkeypatch.setattr("data_synth.engines.kokoro.version", lambda name: "0.9.4")
    Model.made.clear()
    Pipeline.made.clear()
    return KokoroEngine()


def samples(engine: KokoroEngine, text: str, voice: str = "af_heart", seed: int = 0, **parameters: float) -> np.ndarray:
    [outcome] = engine.synthesize([Utterance(text, voice, seed, parameters)])
    assert isinstance(outcome, Waveform), outcome
    assert outcome.rate == 24_000
    assert outcome.samples.dtype == np.float32
    return outcome.samples


def test_clauses_are_joined_and_speed_is_passed_on(engine: KokoroEngine) -> None:
    assert len(samples(engine, "four.four")) == 8000
    assert len(samples(engine, "four.four", speed=2.0)) == 4000


def test_seeds(engine: KokoroEngine) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (samples(engine, "play", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)  # no one else's numbers are drawn


def test_one_model_for_all_languages(engine: KokoroEngine, folder: Path) -> None:
    for voice in ("af_heart", "bm_george", "af_heart"):
        samples(engine, "play", voice)
    assert Pipeline.made == ["a", "b"]
    [made] = Model.made
    assert made["model"] == str(folder / WEIGHTS)


def test_voices_are_those_of_the_folder(engine: KokoroEngine) -> None:
    assert engine.resolve("") == ("af_heart",)
    assert engine.resolve("af_heart+bm_george") == ("af_heart", "bm_george")
    with pytest.raises(SynthesisError, match=r"no such voice \(found 'heart'\); did you mean 'af_heart'"):
        engine.resolve("heart")
    with pytest.raises(SynthesisError, match=r"no such file \(found 'voices/af_sky.pt'\)"):
        engine.resolve("af_sky")


def test_the_revision_follows_the_weights(engine: KokoroEngine) -> None:
    assert engine.voice_revision("af_heart").startswith("kokoro 0.9.4, weights ")


def test_a_text_without_phonemes_is_a_failure(engine: KokoroEngine) -> None:
    [outcome] = engine.synthesize([Utterance("...", "af_heart")])
    assert outcome == Failure("RuntimeError: no phoneme was found for the text")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kokoro", None)
    with pytest.raises(SynthesisError, match=r"install it: pip install 'kokoro>="):
        KokoroEngine()


@pytest.mark.skipif(not REAL, reason="the extra kokoro is not installed")
def test_the_real_model_with_random_weights(folder: Path) -> None:
    """Spanish, whose phonemes come from espeak-ng; a small model of the real class."""
    import json

    import kokoro

    config = {
        "vocab": {letter: number for number, letter in enumerate(" aeiouˈmnlstɡɾðoɣ", start=1)},
        "n_token": 40,
        "plbert": {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 1}
        | {"max_position_embeddings": 512, "dropout": 0.1},
        "hidden_dim": 512,
        "style_dim": 128,
        "n_layer": 1,
        "max_dur": 10,
        "dropout": 0.1,
        "text_encoder_kernel_size": 5,
        "n_mels": 80,
        "istftnet": {
            "upsample_kernel_sizes": [20, 12],
            "upsample_rates": [10, 6],
            "gen_istft_hop_size": 5,
            "gen_istft_n_fft": 20,
            "resblock_dilation_sizes": [[1, 3, 5]] * 3,
            "resblock_kernel_sizes": [3, 7, 11],
            "upsample_initial_channel": 512,
        },
    }
    torch.manual_seed(0)
    torch.save({}, folder / WEIGHTS)
    (folder / "config.json").write_text(json.dumps(config))
    model = kokoro.KModel(repo_id="none", config=str(folder / "config.json"), model=str(folder / WEIGHTS))
    parts = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")
    torch.save({name: getattr(model, name).state_dict() for name in parts}, folder / WEIGHTS)
    engine = KokoroEngine()
    one, same, other = (samples(engine, "hola amigos", "ef_dora", seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len(one) > 0.1 * 24_000
