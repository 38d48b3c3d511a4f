"""Freed memory is kept while batches need it, and given back when the training is over."""

from __future__ import annotations

import subprocess
import sys

import pytest

from speech_analogy.training.memory import keep_freed_memory

BLOCKS, BLOCK_BYTES = 50, 4 << 20
CHILD = f"""
import re
import numpy as np
from speech_analogy.training.memory import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmRSS:\\s+(\\d+)", file.read())[1]) << 10

keep_freed_memory()
blocks = [np.ones({BLOCK_BYTES}, np.uint8) for _ in range({BLOCKS})]
last = np.ones(1 << 12, np.uint8)  # above them: the heap cannot simply be cut off
held = resident()
del blocks
freed = resident()
give_back_freed_memory()
print(held, freed, resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap")
def test_freed_blocks_are_kept_until_they_are_given_back() -> None:
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt")
    ended = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    held, freed, given_back = map(int, ended.stdout.split())
    assert freed > held - BLOCK_BYTES
    assert given_back < held - BLOCKS * BLOCK_BYTES * 0.9
