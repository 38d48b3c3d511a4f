"""Which precision a fine-tuning computes in: what the user says, or what this machine is fastest in."""

from __future__ import annotations

import time
from functools import cache

import torch
from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list

from speech_analogy.errors import ConfigError

SIDE = 512  # of the squares that are multiplied: about a layer of a small Whisper
TRIES = 8  # of each precision, in turn; the fastest counts, so that another process's work does not
FASTER = 1.2  # times as fast as fp32 bf16 must be; half its precision is not given for less


def autocast_precision(wanted: str) -> str:
    """Accelerate's name for the autocast type.

    Args:
        wanted: auto, bf16, fp16 or fp32. auto: on a GPU bf16 where it has it, else fp16; on a processor bf16 where it
            is faster than fp32. Processes that work together all take the first one's choice.

    Raises:
        ConfigError: fp16 without a GPU.
    """
    if wanted == "auto":
        state, chosen = PartialState(), [fastest_precision()]
        if state.num_processes > 1:
            broadcast_object_list(chosen)
        wanted = chosen[0]
    if wanted == "fp16" and not torch.cuda.is_available():
        raise ConfigError("needs a GPU", field="precision", value=wanted, do="use auto, bf16 or fp32")
    return {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}[wanted]


def fastest_precision() -> str:
    """bf16, fp16 or fp32: what this machine trains fastest in; measured on a processor that has bf16."""
    if torch.cuda.is_available():
        return "bf16" if has_bf16() else "fp16"
    return "bf16" if has_bf16() and bf16_speed() >= FASTER else "fp32"


def has_bf16() -> bool:
    """Does this machine compute in bf16, and not merely emulate it?"""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@cache
def bf16_speed() -> float:
    """How many times as fast as in fp32 this processor multiplies matrices in bf16; measured once a process, in 0.1 s.

    A processor may have the instructions and be slower with them: a Xeon with AVX-512's, without AMX, did 147 GFLOP/s
    in bf16 and 284 in fp32 on two cores (torch 2.14.1, squares of 2048).
    """
    squares = {dtype: torch.randn(SIDE, SIDE).to(dtype) for dtype in (torch.float32, torch.bfloat16)}
    best = dict.fromkeys(squares, float("inf"))
    with torch.inference_mode():
        for _ in range(TRIES + 1):  # the first makes the kernels and is never the fastest
            for dtype, square in squares.items():
                begin = time.perf_counter()
                square @ square
                best[dtype] = min(best[dtype], time.perf_counter() - begin)
    return best[torch.float32] / best[torch.bfloat16]
