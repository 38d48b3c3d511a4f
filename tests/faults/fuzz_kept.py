"""Readers of standard input, entry points, states of trainings and answers of language models, for the fuzz tests."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from data_synth.text.expansion import ExpansionOptions, enlarge
from data_synth.text.texts import Text
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.foundation.user_files.plain import read_piped
from speech_analogy.training.state import load_state, save_state
from tests.faults.fuzzing import FuzzedReader

ENGINES = Plugins[Any]("data_synth.engines", "text-to-speech engine")
ENTRY_POINTS = b"[data_synth.engines]\nmine = json:loads\nother = json.decoder:JSONDecoder.decode [extra]\n"
METADATA = b"Metadata-Version: 2.1\nName: mine\nVersion: 1.0\nProvides-Extra: extra\n"
ASKED = ExpansionOptions(model="m", texts=2, lines=2, most_requests=1)
SHOWN = [Text("1", "play some jazz", "music"), Text("2", "stop it", "music")]
STEPS = (1, 2)


def _piped(folder: Path) -> None:
    file = folder / "said.txt"
    content = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
    read_piped(io.BytesIO(content), "said.txt")


def _plugins(folder: Path) -> None:
    """Of an environment that holds this package alone."""
    before = sys.path[:]
    sys.path[:] = [str(folder)]
    ENGINES.refresh()
    try:
        for name in ENGINES.names():
            try:
                ENGINES.load(name)
            except SpeechAnalogyError:
                continue
    finally:
        sys.path[:] = before
        ENGINES.refresh()


def _parameters() -> dict[str, torch.nn.Parameter]:
    return {"p": torch.nn.Parameter(torch.ones(4)), "q": torch.nn.Parameter(torch.zeros(2, 3))}


def _states() -> dict[str, bytes]:
    """What a training of two steps leaves."""
    with tempfile.TemporaryDirectory() as place:
        own = _parameters()
        optimiser = torch.optim.AdamW(own.values())
        for step in STEPS:
            sum(parameter.square().sum() for parameter in own.values()).backward()  # type: ignore[union-attr]
            optimiser.step()
            save_state(Path(place), step, "key", own, optimiser)
        return {str(file.relative_to(place)): file.read_bytes() for file in Path(place).rglob("*.*") if file.is_file()}


STATES = _states()


def _load(folder: Path) -> None:
    """A state that cannot be used is removed: it is put back for the next case."""
    own = _parameters()
    step = load_state(folder, "key", own, torch.optim.AdamW(own.values()))
    assert step in (0, *STEPS) or (folder / f"step-{STEPS[-1]:08d}" / "state.json").is_file()
    for name, content in STATES.items():
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def _answer() -> dict[str, bytes]:
    """The one answer that `SHOWN` and `ASKED` ask for, under its name."""
    with tempfile.TemporaryDirectory() as place:
        enlarge(SHOWN, ASKED, Path(place), lambda prompt, seed: "1. play the blues\n2. stop that")
        return {file.name: file.read_bytes() for file in Path(place).glob("*.json")}


def _enlarge(folder: Path) -> None:
    enlarge(SHOWN, ASKED, folder, lambda prompt, seed: json.dumps(seed))


KEPT = (
    FuzzedReader("texts by standard input", {"said.txt": "tea\ncoffee é\n".encode()}, _piped, names_file=False),
    FuzzedReader(
        "entry points of plug-ins",
        {"mine-1.0.dist-info/entry_points.txt": ENTRY_POINTS, "mine-1.0.dist-info/METADATA": METADATA},
        _plugins,
        names_file=False,
    ),
    FuzzedReader("states of trainings", STATES, _load, names_file=False),
    FuzzedReader("answers of language models", _answer(), _enlarge, names_file=False),
)
