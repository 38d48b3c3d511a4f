"""What a killed fine-tuning resumes from: weights and AdamW's moments as safetensors, and the number of the step."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from speech_analogy.errors import CheckpointError, DataError
from speech_analogy.foundation.files import sweep_all, whole_folder, write_json
from speech_analogy.foundation.progress import say
from speech_analogy.foundation.user_files.json_text import read_object
from speech_analogy.foundation.user_files.plain import is_file

STATE_FILE, WEIGHTS_FILE, MOMENTS_FILE = "state.json", "weights.safetensors", "moments.safetensors"
STATE_PATTERN = "step-*"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_state(
    folder: Path, step: int, key: str, parameters: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Write the state after `step` steps beside its final name, rename it, and drop all but the one before.

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
    sweep_all(folder)  # what killed processes were writing
    with whole_folder(folder / f"step-{step:08d}", error=CheckpointError) as building:
        save_file({name: p.detach().contiguous() for name, p in parameters.items()}, building / WEIGHTS_FILE)
        save_file(moments, building / MOMENTS_FILE)
        write_json(building / STATE_FILE, {"step": step, "key": key})
    for old in before[:-1]:  # one stays, for the case that this one is damaged
        shutil.rmtree(old, ignore_errors=True)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """What a file holds; a pipe or a device in its place would never end."""
    if not is_file(path):
        raise DataError("must be a file", file=path)
    return load_file(path)


def load_state(
    folder: Path, key: str, parameters: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> int:
    """Put the newest whole state with this key into parameters and optimiser; returns its step, 0 if there is none.

    A damaged state is said and removed, and the one before it is taken; states of another key are removed.
    """
    for state in reversed(_states(folder)):
        try:
            content = read_object(state / STATE_FILE)
            step, own = int(content["step"]), content["key"] == key
            weights, moments = (_tensors(state / name) if own else {} for name in (WEIGHTS_FILE, MOMENTS_FILE))
            whole = own and step > 0 and _fit(weights, moments, parameters)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, SafetensorError, DataError):
            own, whole = True, False
        if own and whole:
            _put(parameters, optimiser, weights, moments)
            return step
        if own:
            say(f"{state} is damaged: going on from what was kept before it")
        shutil.rmtree(state, ignore_errors=True)
    return 0


def drop_states_after(folder: Path, step: int) -> None:
    """Remove the states of later steps, where what was logged of them is gone."""
    for state in _states(folder):
        number = state.name.rpartition("-")[2]
        if not number.isdigit() or int(number) > step:
            shutil.rmtree(state, ignore_errors=True)


def _fit(
    weights: dict[str, torch.Tensor], moments: dict[str, torch.Tensor], parameters: dict[str, torch.nn.Parameter]
) -> bool:
    """Whether a state is of these parameters: all of them, in their shapes, with moments that are theirs and finite."""
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    if {name: tensor.shape for name, tensor in weights.items()} != shapes:
        return False
    for name, tensor in moments.items():
        kind, _, parameter = name.partition("/")
        if kind not in _MOMENTS or parameter not in shapes:
            return False
        if tensor.shape != (torch.Size() if kind == "step" else shapes[parameter]):
            return False
    return all(bool(torch.isfinite(tensor).all()) for tensor in (*weights.values(), *moments.values()))


def _put(
    parameters: dict[str, torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    weights: dict[str, torch.Tensor],
    moments: dict[str, torch.Tensor],
) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
            optimiser.state[parameter] = {
                kind: moments[f"{kind}/{name}"].to(parameter.device if kind != "step" else "cpu")
                for kind in _MOMENTS
                if f"{kind}/{name}" in moments
            }


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob(STATE_PATTERN))
