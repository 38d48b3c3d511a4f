"""Corpora and models that several tests of adaptation use."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.adaptation.split import Split, split
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER
from speech_analogy.corpora.read import read_corpus, write_cuts
from speech_analogy.systems.catalogue import BASE, TRAININGS
from tests.adaptation.building import moved, recipe_of
from tests.conftest import make_corpus


@pytest.fixture(scope="session")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    """Three domains; every speaker speaks in all of them."""
    folder = make_corpus(tmp_path_factory.mktemp("three") / "corpus", 105, domains=("a", "b", "c", "b", "a"))
    return read_corpus("folder", folder, progress=False).cuts


@pytest.fixture(scope="session")
def parts(noises: CutSet) -> Split:
    """The noises, divided."""
    return split(noises, recipe_of())


@pytest.fixture(scope="session")
def models(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The base, and a model for every training and the analogy."""
    folder = tmp_path_factory.mktemp("models")
    names = (*TRAININGS, "analogy")
    made = {name: moved(small_whisper, folder / name, seed) for seed, name in enumerate(names)}
    return {BASE: small_whisper, **made}


@pytest.fixture
def inputs(models: dict[str, Path], noises: CutSet, tmp_path: Path) -> dict[str, Path]:
    """Stage folders as a run has them."""
    split = tmp_path / "split"
    split.mkdir()
    write_cuts(noises, split / "dev.jsonl.gz")
    found = {"split": split}
    for name in ("source_synthetic", "source_real", "target_synthetic"):
        found[f"finetune-{name}"] = tmp_path / f"finetune-{name}"
        found[f"finetune-{name}"].mkdir()
        (found[f"finetune-{name}"] / MODEL_FOLDER).symlink_to(models[name])
    return found
