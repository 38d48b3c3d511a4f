"""What a killed fine-tuning resumes from: weights and AdamW's moments as safetensors, and the number of the step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

STATE_FILE, WEIGHTS_FILE, MOMENTS_FILE = "state.json", "weights.safetensors", "moments.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_state(
    folder: Path, step: int, key: str, parameters: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Write the state after `step` steps beside its final name, rename it, and drop the one before.

    Args:
        folder: where states live.
        key: digest of everything the weights hang on; a state with another key is never resumed from.
        parameters: the trained ones, by name.
    """
    building = folder / ".building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    save_file({name: p.detach().contiguous() for name, p in parameters.items()}, building / WEIGHTS_FILE)
    moments = {
        f"{kind}/{name}": optimiser.state[parameter][kind].detach().contiguous()
        for name, parameter in parameters.items()
        for kind in _MOMENTS
        if kind in optimiser.state[parameter]
    }
    save_file(moments, building / MOMENTS_FILE)
    (building / STATE_FILE).write_text(json.dumps({"step": step, "key": key}), encoding="utf-8")
    before = _states(folder)
    building.rename(folder / f"step-{step:08d}")
    for old in before:
        shutil.rmtree(old, ignore_errors=True)


def load_state(
    folder: Path, key: str, parameters: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> int:
    """Put the newest state with this key into parameters and optimiser; returns its step, 0 if there is none."""
    for state in reversed(_states(folder)):
        content = json.loads((state / STATE_FILE).read_text(encoding="utf-8"))
        if content["key"] != key:
            continue
        weights, moments = load_file(state / WEIGHTS_FILE), load_file(state / MOMENTS_FILE)
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])
                optimiser.state[parameter] = {
                    kind: moments[f"{kind}/{name}"].to(parameter.device if kind != "step" else "cpu")
                    for kind in _MOMENTS
                    if f"{kind}/{name}" in moments
                }
        return int(content["step"])
    return 0


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
