"""Files spoilt at random by Hypothesis, and how often: 300 cases in an ordinary run, 20,000 in the nightly one."""

from __future__ import annotations

import json
import struct
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ORDINARY_CASES = 300
NIGHTLY = settings.default is not None and settings.default.max_examples > ORDINARY_CASES
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 10**9, 10**18, 10**40, -(10**9), 0.5, float("nan"), float("inf"), "", "a", "../x",
    "float32", "\x1b[2J", [], {}, [None], [10**12] * 3, [[1]], {"a": {"a": 1}}, ["a"] * 50, "(a+)+x",
)  # fmt: skip

Edit = tuple[str, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "truncate", "swap", "count"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=9),
    ),
    min_size=1,
    max_size=4,
)
"""Damage to a file: what, where (a share of its length, half the time of its head), and which bytes."""
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(ODD)), min_size=1, max_size=3)
"""Damage to JSON: which of its values, and what stands there instead."""


def cases(ordinary: int = ORDINARY_CASES) -> settings:
    """How many cases are drawn: so many in an ordinary run, always the same; 20,000 new ones in the nightly one."""
    count = settings.default.max_examples if NIGHTLY and settings.default else ordinary
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not NIGHTLY,
    )


def spoilt_bytes(whole: bytes, edits: list[Edit], head: int = 200) -> bytes:
    """`whole` after some edits, each in its first `head` bytes or anywhere."""
    content = bytearray(whole)
    for kind, where, data in edits:
        at = min(int(where * (head if data[0] % 2 else len(content))), len(content))
        if kind == "set":
            content[at : at + len(data)] = data
        elif kind == "insert":
            content[at:at] = data
        elif kind == "delete":
            del content[at : at + len(data)]
        elif kind == "truncate":
            del content[at:]
        elif kind == "count":  # a size that a header may have there
            content[at : at + 4] = struct.pack("<I" if data[-1] % 2 else ">I", 0xFFFFFFFF >> (data[-1] % 24))
        else:
            other = data[-1] * len(content) // 256
            content[at : at + 8], content[other : other + 8] = content[other : other + 8], content[at : at + 8]
    return bytes(content)


def spoilt_json(content: Any, changes: list[tuple[int, Any]]) -> str:
    """JSON of which some values are others; a key is dropped now and then."""
    content = json.loads(json.dumps(content))
    for number, value in changes:
        places = list(_places(content))
        if not places:
            break
        parent, key = places[number % len(places)]
        if number % 7 == 0:
            del parent[key]
        else:
            parent[key] = deepcopy(value)
    return json.dumps(content)


def _places(content: Any) -> Any:
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def written(file: Path, content: bytes | str) -> Path:
    """The file with this content."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return file
