"""Families are found by registration and declare what they can do; nobody else asks which one a model is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.recognisers.conformer.family import CONFORMER
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.families import FAMILIES, families, family_of, native_window
from speech_analogy.recognisers.loading import backend_name, load_recogniser, load_transcriber
from speech_analogy.recognisers.log_mel import FRAMES_PER_S
from speech_analogy.recognisers.whisper.family import WHISPER
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.conftest import REPOSITORY
from tests.small_conformer import make_conformer

RATE_HZ = 16_000
OWN = ("recognisers", "export")


@pytest.fixture(scope="module")
def conformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_conformer(tmp_path_factory.mktemp("weights") / "conformer")


@pytest.fixture
def cousin(tmp_path: Path, small_whisper: Path) -> Iterator[Path]:
    """A model of a family that a program adds itself: Whisper under another name."""
    folder = tmp_path / "cousin"
    folder.mkdir()
    for file in small_whisper.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "murmur"}))
    (folder / "provenance.json").unlink()
    yield folder
    if "murmur" in FAMILIES:
        FAMILIES.remove("murmur")


def test_folders_and_loaded_models_name_their_family(small_whisper: Path, conformer: Path) -> None:
    assert family_of(small_whisper) is WHISPER
    assert family_of(WhisperRecogniser(small_whisper)) is WHISPER
    assert family_of(conformer) is family_of(load_recogniser(conformer)) is CONFORMER


def test_every_entry_point_gives_the_family_of_its_models() -> None:
    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert set(FAMILIES.names()) == set(group[FAMILIES.group]) >= {"whisper", "wav2vec2-conformer"}
    assert [family.model_types[0] for family in families()] == list(FAMILIES.names())


def test_a_new_family_is_one_registration(cousin: Path, small_whisper: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: model_type: .*not supported.*murmur.*whisper"):
        load_recogniser(cousin)
    FAMILIES.add("murmur", replace(WHISPER, name="Murmur", model_types=("murmur",), native_window="trimmed",
                                   open=lambda folder, language, device: WhisperRecogniser(small_whisper)))  # fmt: skip
    assert isinstance(load_recogniser(cousin), WhisperRecogniser)
    assert native_window(cousin) == "trimmed"
    assert not family_of(cousin).can_be_shortened


def test_auto_leaves_a_family_without_another_backend_to_torch(conformer: Path) -> None:
    """However much speech there is to repay a conversion."""
    found = load_transcriber(conformer, DecodingOptions(backend="auto"), window_s=1e9)
    assert backend_name(found) == "torch"
    with pytest.raises(ConfigError, match="takes no Wav2Vec2-Conformer models"):
        load_transcriber(conformer, DecodingOptions(backend="ctranslate2"))


@pytest.mark.parametrize("which", ["small_whisper", "conformer"])
def test_a_voice_is_described_by_frames_of_log_mel(which: str, request: pytest.FixtureRequest) -> None:
    recogniser = load_recogniser(request.getfixturevalue(which))
    time = np.arange(3 * RATE_HZ // 2) / RATE_HZ
    low, high = (recogniser.voice((0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32), 1.5) for hz in (150, 1500))
    assert low.shape == high.shape == (80, FRAMES_PER_S * 3 // 2)
    assert torch.isfinite(low).all()
    assert low.mean(1).argmax() < high.mean(1).argmax()


def test_whispers_voice_is_its_features_of_the_speech(small_whisper: Path) -> None:
    recogniser = load_recogniser(small_whisper)
    wave = np.random.default_rng(0).normal(0, 0.1, round(1.3 * RATE_HZ)).astype(np.float32)
    assert torch.equal(recogniser.voice(wave, 1.3), recogniser.features([wave], 2.0)[0][:, :130])


def test_families_are_asked_and_never_told_apart_elsewhere() -> None:
    """Outside `recognisers`, and `export` with its formats of one family, no module names a family's classes."""
    asked = re.compile(r"WhisperRecogniser|ConformerRecogniser|recognisers\.(whisper|conformer)|model_type *[!=]=")
    package = REPOSITORY / "speech_analogy"
    files = [file for file in package.rglob("*.py") if file.relative_to(package).parts[0] not in OWN]
    assert files
    assert [str(file) for file in files if asked.search(file.read_text(encoding="utf-8"))] == []
