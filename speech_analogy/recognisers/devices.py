"""Where a model computes: on a GPU that torch sees, or on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from speech_analogy.errors import ConfigError

if TYPE_CHECKING:
    from speech_analogy.recognisers.protocol import Backend

AUTO = "auto"


def find_device(device: str | torch.device = AUTO, backend: Backend = "torch") -> torch.device:
    """The device that is meant.

    Args:
        device: auto (a GPU if torch sees one, else the processor), or as torch names it: cpu, cuda, cuda:1.
        backend: ctranslate2 computes on the processor here, so that `auto` is the processor.

    Raises:
        ConfigError: no such device.
    """
    if device == AUTO:
        return torch.device("cuda" if backend != "ctranslate2" and torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        do = "use auto, cpu, cuda or cuda:1"
        raise ConfigError("torch knows no such device", field="device", value=str(device), do=do) from None
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ConfigError("torch sees no such device", field="device", value=str(device), do="use auto or cpu")
    return found
