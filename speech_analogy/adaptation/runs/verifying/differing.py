"""Two values of JSON side by side: where they differ, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

SAME = 1e-9  # relative: the mean of several seeds' rates is theirs together but for rounding


def differing(own: Any, said: Any, place: str) -> Iterator[str]:
    """A line for each place where what is written is not what follows.

    Args:
        own: what follows: JSON, or records; of an object, the keys that are compared.
        said: what is written.
        place: its name.
    """
    own, said = (dict(one) if isinstance(one, BaseModel) else one for one in (own, said))
    if isinstance(own, dict) and isinstance(said, dict):
        for key, value in own.items():
            yield from differing(value, said.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(own, list | tuple) and isinstance(said, list | tuple) and len(own) == len(said):
        for number, (one, other) in enumerate(zip(own, said, strict=True)):
            yield from differing(one, other, f"{place}[{number}]")
    elif not _same(own, said):
        yield f"{place} is {_shown(own)}, and {_shown(said)} is written"


def nearest(candidates: Iterable[Any], said: Any, place: str) -> list[str]:
    """Where what is written differs from the one of several values that it is nearest to; nothing where there is none.

    Several: a run whose recipe was changed keeps the earlier stages of a name.
    """
    return min((list(differing(own, said, place)) for own in candidates), key=len, default=[])


def _same(own: Any, said: Any) -> bool:
    numbers = (int, float)
    if isinstance(own, numbers) and isinstance(said, numbers) and not isinstance(own, bool):
        return math.isclose(own, said, rel_tol=SAME, abs_tol=SAME)
    return bool(own == said)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return "nothing" if value is None else "an object" if isinstance(value, dict) else str(value)
