"""What this machine computes with. Like `errors` it imports no other room, so every room may use it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as the system reports it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that torch sees, as `$CUDA_VISIBLE_DEVICES` calls them: ("0", "1"); none without one."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    given = [name.strip() for name in os.environ.get(VISIBLE_GPUS, "").split(",") if name.strip()]
    return tuple((given or [str(number) for number in range(count)])[:count])
