"""Advice for a name that is not known: the nearest one, else all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NEAR = 0.4  # difflib's ratio, 0 to 1, from which a name counts as a misspelling
LISTED = 40  # names at the most, where none is near


def closest(name: str, known: Iterable[str], cutoff: float = NEAR) -> str | None:
    """The known name that is most like `name`; None where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return near[0] if near else None


def nearest(name: str, known: Iterable[str], cutoff: float = NEAR) -> str:
    """What to do about an unknown name: `did you mean 'flite'?`, or `use one of bark, flite, piper`."""
    names = list(known)
    near = closest(name, names, cutoff)
    if near is not None:
        return f"did you mean {near!r}?"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"use one of {', '.join(names[:LISTED])}{more}" if names else "there is none"
