"""A training that went to NaN or infinity ends at once and leaves nothing: no model is better than a broken one."""

from __future__ import annotations

import math

import torch

from speech_analogy.errors import TrainingError

RULE, DO = "training diverged", "lower the learning rate"


def require_finite_loss(loss: float, step: int, learning_rate: float) -> None:
    """Raise TrainingError where a step's loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"{RULE}: the loss of step {step} is {loss}", field="learning_rate", value=f"{learning_rate:g}", do=DO
        )


def require_finite_weights(model: torch.nn.Module, learning_rate: float) -> None:
    """Raise TrainingError where a trained weight is NaN or infinite, after the last step."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter.detach().sum(dtype=torch.float64))):
            raise TrainingError(
                f"{RULE}: {name} holds NaN or infinity", field="learning_rate", value=f"{learning_rate:g}", do=DO
            )
