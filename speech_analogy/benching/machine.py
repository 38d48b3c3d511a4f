"""What this machine is, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from speech_analogy.benching.findings import Machine, Peak
from speech_analogy.foundation.machine import cores, processor

VERSIONED_PACKAGES = ("speech-analogy", "torch", "transformers", "ctranslate2")
SIDES = (512, 1024, 2048, 4096)
REPEATS_AT_LEAST = 2
SIDE_S = 0.4  # given to each size


def describe() -> Machine:
    """This machine, with torch's present number of threads."""
    import torch

    from speech_analogy.training.precision import has_bf16

    return Machine(
        processor=processor(),
        cores=cores(),
        threads=torch.get_num_threads(),
        bf16=has_bf16(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        versions={"python": platform.python_version(), **{name: _version(name) for name in VERSIONED_PACKAGES}},
    )


def matmul_peak(precision: str, sides: tuple[int, ...] = SIDES, side_s: float = SIDE_S) -> Peak:
    """The fastest product of square matrices, by the best of several tries at each of several sizes.

    Args:
        precision: fp32 or bf16.
        sides: of the squares.
        side_s: seconds given to each; every size gets `REPEATS_AT_LEAST` tries.
    """
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    found: list[Peak] = []
    with torch.inference_mode():
        for side in sides:
            left, right = (torch.randn(side, side).to(dtype) for _ in range(2))
            product = left @ right  # makes the kernel, and the memory
            tries: list[float] = []
            while len(tries) < REPEATS_AT_LEAST or sum(tries) < side_s:
                begin = time.perf_counter()
                torch.matmul(left, right, out=product)
                tries.append(time.perf_counter() - begin)
            found.append(Peak(gflops=2 * side**3 / min(tries) / 1e9, side=side))
    return max(found, key=lambda peak: peak.gflops)


def peak_bytes() -> int:
    """The peak resident set of this process, from its start on.

    On Linux from /proc: getrusage would count what the process that started this one held.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
