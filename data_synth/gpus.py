"""Which GPUs there are, who computes on them, and how a process is given one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable

from data_synth.engines import load_engine

VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICE_VARIABLE = "DATA_SYNTH_DEVICE"
ANY_GPU = ("", "auto", "cuda")  # values of it that leave open which


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that torch sees, as `$CUDA_VISIBLE_DEVICES` calls them: ("0", "1"); none without one."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    said = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return tuple((said or [str(number) for number in range(count)])[:count])


def gpus_of(engines: Iterable[str]) -> tuple[str, ...]:
    """The GPUs that these engines' models may be put on; none where no model goes to one.

    Args:
        engines: names, with or without voices: `bark`, `piper:joe`.

    Raises:
        SynthesisError: there is no such engine.
    """
    names = {engine.partition(":")[0].strip() for engine in engines}
    if os.environ.get(DEVICE_VARIABLE, "") not in ANY_GPU:
        return ()  # the user has said where
    return visible_gpus() if any(getattr(load_engine(name), "on_gpu", False) for name in names) else ()
