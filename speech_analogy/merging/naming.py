"""What records call a model, a vector or a file: a name that says something elsewhere, never a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""owner/name, of a model hub."""

_IN_HUB_CACHE = re.compile(r"models--(?P<owner>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\][0-9a-f]+")
_BEGINS_A_PATH = re.compile(r"[/\\~]|\.\.?(?:[/\\]|$)|[A-Za-z]:[/\\]")
_JOINED_BY = (" + ", " − ")
_JOINTS = re.compile(f"({'|'.join(map(re.escape, _JOINED_BY))})")
_REFERENCES = ("base", "base_model", "model", "vector", "adapter", "statistics", "tokenizer_source", "file", "name")
"""Keys of a record whose value may refer to a file."""
_PATH = "path"
"""The key that records of version 0.1.0 kept where `name` is now."""


def known_as(reference: str | Path) -> str:
    """What a record calls that to which a user referred by a path or by a name.

    Names of a hub (`owner/name`) and of weights packages (`pip:...`) stay; of a path the last part is kept, and of
    one into the hub's cache the hub's name. What is known already stays as it is, sums and differences of names too.
    """
    text = str(reference)
    cached = _IN_HUB_CACHE.search(text)
    if cached:
        return f"{cached['owner']}/{cached['name']}"
    if isinstance(reference, Path) or _BEGINS_A_PATH.match(text):
        return _last_part(text)
    return "".join(part if part in _JOINED_BY else _one_name(part) for part in _JOINTS.split(text))


def _one_name(text: str) -> str:
    if not re.search(r"[/\\]", text) or (HUB_ID.fullmatch(text) and not Path(text).exists()):
        return text
    return _last_part(text)


def _last_part(text: str) -> str:
    last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    return Path(text).expanduser().resolve().name if last in ("", ".", "..", "~") else last


def without_paths(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record in which whatever refers to a file is `known_as`, at every depth; `path` becomes `name`."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        own = "name" if key == _PATH and isinstance(value, str) else key
        found[own] = known_as(value) if isinstance(value, str) and own in _REFERENCES else _deeper(value)
    return found


def _deeper(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_paths(value)
    return [_deeper(one) for one in value] if isinstance(value, list) else value
