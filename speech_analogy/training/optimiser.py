"""AdamW's parameter groups and the learning-rate schedule."""

from __future__ import annotations

from typing import Any

import torch


def schedule(step: int, steps: int, warmup_share: float) -> float:
    """Factor of the peak rate at a step counted from 0: linear from 0 to 1, then linear to 0 after the last step."""
    warmup = round(warmup_share * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (steps - step) / max(1, steps - warmup)


def decay_groups(parameters: dict[str, torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay pulls matrices towards zero; biases and norms are left alone."""
    matrices = [parameter for parameter in parameters.values() if parameter.ndim > 1]
    others = [parameter for parameter in parameters.values() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
