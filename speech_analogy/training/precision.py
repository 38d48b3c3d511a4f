"""Which precision a fine-tuning computes in: what the user says, or what this machine is fastest in."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list

from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.digests import digest
from speech_analogy.foundation.disk.cache_folder import cache_folder
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.machine import processor

SIDE = 512  # of the squares that are multiplied: about a layer of a small Whisper
TRIES = 8  # of each precision, in turn; the fastest counts, so that another process's work does not
NAMED_DIGITS = 16
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
    """How many times as fast as in fp32 this processor multiplies matrices in bf16, measured once a machine.

    What was measured is remembered in the cache: beside other work a second measurement may say otherwise, and a
    training that was killed would go on in another precision than it began in.
    """
    named = [processor(), torch.__version__, torch.get_num_threads()]
    file = cache_folder() / f"bf16-{digest(named)[:NAMED_DIGITS]}.json"
    found = _remembered(file)
    if found is not None:
        return found
    found = measured_bf16_speed()
    with suppress(DataError), whole_file(file, overwrite=False, one_of_many=True) as temporary:
        temporary.write_text(json.dumps({"times as fast": found}), encoding="utf-8")
    return _remembered(file) or found  # of several processes that measured at once, the first one's counts


def _remembered(file: Path) -> float | None:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["times as fast"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def measured_bf16_speed() -> float:
    """As `bf16_speed`, measured now, in 0.1 s.

    A processor may have the instructions and be slower with them: a Xeon with AVX-512's, without AMX, did 147 GFLOP/s
    in bf16 and 284 in fp32 on two cores (torch 2.14.1, squares of 2048).
    """
    drawn = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    squares = {dtype: drawn.to(dtype) for dtype in (torch.float32, torch.bfloat16)}
    best = dict.fromkeys(squares, float("inf"))
    with torch.inference_mode():
        for _ in range(TRIES + 1):  # the first makes the kernels and is never the fastest
            for dtype, square in squares.items():
                begin = time.perf_counter()
                square @ square
                best[dtype] = min(best[dtype], time.perf_counter() - begin)
    return best[torch.float32] / best[torch.bfloat16]
