"""Outputs beside inputs: a verb does not put what it makes in the place of what it is given to read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from speech_analogy.errors import ConfigError

OUTPUT, REPLACES = "out", "overwrite"  # parameters of verbs
WORDS = frozenset({
    "window", "backend", "compute", "device", "bias_method", "cluster", "language", "normaliser", "to", "quantization",
    "method", "missing", "kind", "form", "system", "channel", "speakers", "voices", "licence", "creator", "tuned_on",
    "values", "scope", "dtype", "option", "bias_settings", "settings", "set_", "weight",
})  # fmt: skip
"""Parameters that name no file, whatever is called so in the folder."""


def apart(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A verb that refuses an output which it would put in the place of something that it is given to read."""

    @functools.wraps(callback)
    def checked(**values: Any) -> Any:
        out = values.get(OUTPUT)
        if values.get(REPLACES) and out:
            others = (value for name, value in values.items() if name != OUTPUT and name not in WORDS)
            require_apart(Path(str(out)), (one for value in others for one in _texts_in(value)))
        return callback(**values)

    return checked


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts_in(one)


def require_apart(out: Path, inputs: Iterator[str]) -> None:
    """Refuse an output that is one of the inputs, or a folder that one of them lies in.

    Args:
        inputs: whatever else was given; what is no path is passed over.

    Raises:
        ConfigError: naming the input.
    """
    place = out.resolve()
    for one in inputs:
        try:
            there = Path(one).resolve()
            is_read = bool(one) and there.exists()
        except (OSError, ValueError, RuntimeError):
            continue
        if is_read and there.is_relative_to(place):
            raise ConfigError("the output must not replace what is read", file=out, value=one, do="name another --out")
