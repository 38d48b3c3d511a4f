"""States that a training resumes from: a damaged one is said, and the one before it is taken; another run's is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import save_file

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.locks import held
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.state import load_state, save_state

STEPS = (3, 6, 9)


def parameter(value: float) -> dict[str, torch.nn.Parameter]:
    return {"p": torch.nn.Parameter(torch.full((4,), value))}


def optimiser(parameters: dict[str, torch.nn.Parameter]) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters.values())


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """After steps 3, 6 and 9, the parameter is the step's number."""
    for step in STEPS:
        own = parameter(float(step))
        save_state(tmp_path, step, "key", own, optimiser(own))
    return tmp_path


def truncate(name: str, size: int) -> Callable[[Path], None]:
    return lambda state: os.truncate(state / name, size)


def others(state: Path) -> None:
    """Weights of other names: readable, and not what is trained."""
    save_file({"q": torch.zeros(4)}, state / "weights.safetensors")


def moments(tensors: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    """Moments that are not those of what is trained."""
    return lambda state: save_file(tensors, state / "moments.safetensors")


DAMAGE = {
    "no bytes of weights": truncate("weights.safetensors", 0),
    "half of the weights": truncate("weights.safetensors", 40),
    "no bytes of moments": truncate("moments.safetensors", 0),
    "no bytes of the record": truncate("state.json", 0),
    "half of the record": truncate("state.json", 9),
    "no record": lambda state: (state / "state.json").unlink(),
    "a record of something else": lambda state: (state / "state.json").write_text(json.dumps([1])) and None,
    "weights of other names": others,
    "moments of other shapes": moments({"exp_avg/p": torch.zeros(3)}),
    "moments of nothing": moments({"exp_avg/q": torch.zeros(4)}),
    "moments that are no numbers": moments({"exp_avg/p": torch.full((4,), float("nan"))}),
    "a step before the first": lambda state: (state / "state.json").write_text('{"step": -3, "key": "key"}') and None,
}


def test_the_newest_and_the_one_before_it_are_kept(states: Path) -> None:
    assert [state.name for state in sorted(states.glob("step-*"))] == ["step-00000006", "step-00000009"]
    fresh = parameter(0.0)
    assert load_state(states, "key", fresh, optimiser(fresh)) == 9


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_said_and_the_older_one_taken(
    states: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGE[damage](states / "step-00000009")
    fresh = parameter(0.0)
    assert load_state(states, "key", fresh, optimiser(fresh)) == 6
    assert fresh["p"].tolist() == [6.0] * 4
    assert "step-00000009 is damaged" in capsys.readouterr().err
    assert load_state(states, "key", fresh, optimiser(fresh)) == 6
    assert "damaged" not in capsys.readouterr().err


def test_where_all_are_damaged_it_begins_again(states: Path) -> None:
    for state in states.glob("step-*"):
        os.truncate(state / "weights.safetensors", 0)
    fresh = parameter(0.5)
    assert load_state(states, "key", fresh, optimiser(fresh)) == 0
    assert fresh["p"].tolist() == [0.5] * 4


def test_another_trainings_states_are_gone(states: Path) -> None:
    """Interrupted, then started with other options into the same place: trained anew, and its states can be saved."""
    fresh = parameter(0.0)
    assert load_state(states, "other", fresh, optimiser(fresh)) == 0
    save_state(states, 9, "other", fresh, optimiser(fresh))
    assert load_state(states, "other", fresh, optimiser(fresh)) == 9


def test_two_trainings_towards_one_output(small_whisper: Path, noises: CutSet, tmp_path: Path) -> None:
    """One works; the other says so in one line, and leaves the first one's states alone."""
    few, out = CutSet.from_cuts(list(noises)[:2]), tmp_path / "model"
    with (
        held(tmp_path / ".model.training"),
        pytest.raises(CheckpointError, match=r"\.model\.training: another process"),
    ):
        finetune(few, small_whisper, out, progress=False)
    assert not out.exists()
    finetune(few, small_whisper, out, FinetuneOptions(epochs=1), progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
