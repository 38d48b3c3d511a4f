"""Which engines compute on a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterable

from data_synth.engines import load_engine
from speech_analogy.foundation.machine import visible_gpus

DEVICE_VARIABLE = "DATA_SYNTH_DEVICE"
ANY_GPU = ("", "auto", "cuda")  # values of it that leave open which


def gpus_of(engines: Iterable[str]) -> tuple[str, ...]:
    """The GPUs that these engines' models may be put on; none where no model goes to one.

    Args:
        engines: names, with or without voices: `bark`, `piper:joe`.

    Raises:
        SynthesisError: there is no such engine.
    """
    names = {engine.partition(":")[0].strip() for engine in engines}
    if os.environ.get(DEVICE_VARIABLE, "") not in ANY_GPU:
        return ()  # the user has chosen the device
    return visible_gpus() if any(getattr(load_engine(name), "on_gpu", False) for name in names) else ()
