"""JSON of strangers: bounded in depth and in the length of its numbers, every key once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.foundation.user_files.plain import MOST_BYTES, NO_FILE, read_text

DEEPEST = 64  # containers within containers
LONGEST_NUMBER = 100  # digits of an integer
MOST_VALUE_BYTES = 512 << 20  # that what a JSON text says may take in memory
OBJECT_BYTES, LIST_BYTES, VALUE_BYTES = 240, 90, 70  # a dict of one key, a list, a short string or number and its place
TOO_DEEP = f"more than {DEEPEST} lists or objects within each other"


def parse_json(text: str) -> Any:
    """What a JSON text says; NaN and Infinity are taken as Python does.

    Raises:
        json.JSONDecodeError: it is not JSON.
        ValueError: in a few words: an object has a key twice, it is nested too deeply, or a number is too long.
    """
    require_modest(text)
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if text.count("[") + text.count("{") > DEEPEST and too_deep(found):
        raise ValueError(TOO_DEEP)
    return found


def require_modest(text: str) -> None:
    """Refuse a JSON text that would take more than `MOST_VALUE_BYTES`, by the signs of which values are made.

    Raises:
        ValueError: in a few words.
    """
    signs = ((",", VALUE_BYTES), (":", VALUE_BYTES), ("[", LIST_BYTES), ("{", OBJECT_BYTES))
    if len(text) * OBJECT_BYTES <= MOST_VALUE_BYTES:
        return
    taken = sum(text.count(sign) * size for sign, size in signs)
    if taken > MOST_VALUE_BYTES:
        raise ValueError(f"its values would take about {taken >> 20} MiB, and {MOST_VALUE_BYTES >> 20} are allowed")


def read_json(
    path: Path,
    error: type[SpeechAnalogyError] = DataError,
    *,
    missing: str = NO_FILE,
    do: str | None = None,
    broken: str = "is not JSON",
    most_bytes: int = MOST_BYTES,
) -> Any:
    """What a JSON file says.

    Args:
        missing, broken, do: what is said where nothing is there, or something else.

    Raises:
        SpeechAnalogyError: of the type `error`: it is missing, too large, not UTF-8, or see `parse_json`.
    """
    text = read_text(path, error, missing=missing, do=do, most_bytes=most_bytes)
    try:
        return parse_json(text)
    except ValueError as problem:
        raise error(f"{broken}: {problem}", file=path, do=do) from None


def read_object(
    path: Path,
    error: type[SpeechAnalogyError] = DataError,
    *,
    missing: str = NO_FILE,
    do: str | None = None,
    broken: str = "is not JSON",
) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        SpeechAnalogyError: of the type `error`: see `read_json`; or it holds something else.
    """
    found = read_json(path, error, missing=missing, do=do, broken=broken)
    if not isinstance(found, dict):
        raise error(f"{broken}: it must be an object", file=path, value=type(found).__name__, do=do)
    return found


def read_objects(path: Path, *, missing: str = NO_FILE, do: str | None = None) -> list[dict[str, Any]]:
    """The objects of a file that has one a line; blank lines are left out.

    Raises:
        DataError: the file is missing, larger than 64 MiB, not UTF-8, or a line is no object: it is named.
    """
    found: list[dict[str, Any]] = []
    text = read_text(path, missing=missing, do=do)
    try:
        require_modest(text)
    except ValueError as error:
        raise DataError(str(error), file=path) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise DataError(f"line {number} is not JSON: {error}", file=path) from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} must be an object", file=path, value=type(row).__name__)
        found.append(row)
    return found


def require_finite(text: str) -> None:
    """Refuse a JSON text with NaN or Infinity as a value, which Python and pydantic take; what is no JSON passes.

    Raises:
        ValueError: there is one.
    """
    if "NaN" in text or "Infinity" in text:
        with suppress(json.JSONDecodeError, RecursionError):
            json.loads(text, parse_constant=_not_finite)


def _not_finite(name: str) -> None:
    raise ValueError(f"{name} is no finite number")


def too_deep(value: Any, most: int = DEEPEST) -> bool:
    """Whether lists and mappings lie within each other more than `most` times."""
    level = [value]
    for _ in range(most):
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:LONGEST_NUMBER]!r} is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number has more than {LONGEST_NUMBER} digits")
    return int(digits)
