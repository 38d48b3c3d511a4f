"""How voices are named in a selection, and what is said of a name that no voice has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.suggest import nearest

VOICE_SEPARATOR = "+"
RESERVED_MARKS = (VOICE_SEPARATOR, ",")  # they separate the names of voices


def selected(selection: str, default: Iterable[str]) -> tuple[str, ...]:
    """The names in a selection such as `slt+rms`; `default` for an empty one."""
    return tuple(part.strip() for part in selection.split(VOICE_SEPARATOR)) if selection else tuple(default)


def unknown_voice(engine: str, name: str, known: Sequence[str]) -> SynthesisError:
    """The error for a voice that an engine does not have; it names the nearest one."""
    return SynthesisError("the engine has no such voice", field=engine, value=name, do=nearest(name, known))
