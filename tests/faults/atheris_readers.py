"""The readers that atheris fuzzes: those of the other fuzz tests, and of weights and audio headers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

from data_synth.audio.headers import header_problem
from data_synth.audio.recordings import count_samples, read_recording
from speech_analogy.merging.io.checkpoints import open_checkpoint
from tests.faults.fuzz_corpora import CORPORA
from tests.faults.fuzz_kept import KEPT
from tests.faults.fuzz_records import RECORDS
from tests.faults.fuzzing import FuzzedReader

RATE_HZ = 8_000


def _sums(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        return sum(float(tensor.double().sum()) for _, tensor in open_checkpoint(folder / name).items())

    return read


def _weights(name: str) -> bytes:
    """A small checkpoint of the kind that the name says."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / name
        state = {"a.weight": torch.ones(3, 2), "b": torch.zeros(2, dtype=torch.float16)}
        save_file(state, file) if name.endswith(".safetensors") else torch.save(state, file)
        return file.read_bytes()


def _audio(name: str) -> bytes:
    """A tenth of a second of a tone."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / name
        soundfile.write(file, 0.1 * np.sin(np.arange(RATE_HZ // 10)), RATE_HZ)
        return file.read_bytes()


def _whole_reader(name: str, content: bytes, read: Callable[[Path], object]) -> FuzzedReader:
    return FuzzedReader(name, {name: content}, read, names_file=False)


def _heard(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        header_problem(folder / name)
        count_samples(folder / name, RATE_HZ)
        return read_recording(folder / name, RATE_HZ)

    return read


BINARY = (
    *(
        FuzzedReader(name, {name: _weights(name)}, _sums(name), names_file=False)
        for name in ("header.safetensors", "weights.pt")
    ),
    *(
        FuzzedReader(name, {name: _audio(name)}, _heard(name), names_file=False)
        for name in ("audio.wav", "audio.flac", "audio.ogg")
    ),
)
READERS = {reader.name: reader for reader in (*CORPORA, *RECORDS, *KEPT, *BINARY)}
