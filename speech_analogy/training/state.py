"""What a killed fine-tuning resumes from: weights and AdamW's moments as safetensors, and the number of the step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import sweep, whole_folder, write_json

STATE_FILE, WEIGHTS_FILE, MOMENTS_FILE = "state.json", "weights.safetensors", "moments.safetensors"
STATE_PATTERN = "step-*"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_state(
    folder: Path, step: int, key: str, parameters: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Write the state after `step` steps beside its final name, rename it, and drop the one before.

    Args:
        folder: where states live.
        key: digest of everything that the weights depend on; a state with another key is never resumed from.
        parameters: the trained ones, by name.
    """
    moments = {
        f"{kind}/{name}": optimiser.state[parameter][kind].detach().contiguous()
        for name, parameter in parameters.items()
        for kind in _MOMENTS
        if kind in optimiser.state[parameter]
    }
    before = _states(folder)
    sweep(folder / STATE_PATTERN)  # what killed processes were writing
    with whole_folder(folder / f"step-{step:08d}", error=CheckpointError) as building:
        save_file({name: p.detach().contiguous() for name, p in parameters.items()}, building / WEIGHTS_FILE)
        save_file(moments, building / MOMENTS_FILE)
        write_json(building / STATE_FILE, {"step": step, "key": key})
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
    return sorted(folder.glob(STATE_PATTERN))
