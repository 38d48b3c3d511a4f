"""What a result was measured with: package versions and the machine."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from speech_analogy.foundation.machine import cores, processor, visible_gpus

PACKAGES = ("speech-analogy", "torch", "transformers", "accelerate", "lhotse", "openai-whisper", "jiwer")


def package_versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine_record() -> dict[str, str]:
    machine = {"processor": processor(), "cores": str(cores()), "system": platform.system()}
    names = [torch.cuda.get_device_name(number) for number in range(len(visible_gpus()))]
    return {**machine, **({"gpus": ", ".join(names)} if names else {})}
