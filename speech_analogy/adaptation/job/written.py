"""A complete recipe as a commented file: what was found in the data, and beside each value that nobody gave, why."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from speech_analogy.adaptation.extends import RECIPE_FILE
from speech_analogy.adaptation.job.evidence import DefaultChoice
from speech_analogy.adaptation.job.prepare import Prepared
from speech_analogy.evaluation.results import DefaultValue
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.page.wording import amount

ORDER = (
    "title",
    "note",
    "base",
    "language",
    "seed",
    "source",
    "target",
    "synthesis",
    "training",
    "training_of",
    "search",
)
WIDTH = 110  # columns of a comment


def recipe_text(prepared: Prepared, beside: Path | None = None) -> str:
    """The file.

    Args:
        beside: paths below this folder, in which the file will be, are written from it; None: all are absolute.
    """
    content = prepared.content if beside is None else _from_folder(prepared.content, beside.resolve())
    lines = [_comment("Found:"), *(_comment(f"  {line}") for line in prepared.found), ""]
    for key in sorted(content, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key)):
        lines += [_comment(_said(choice, key)) for choice in prepared.defaults if choice.key.split(".")[0] == key]
        lines.append(yaml.safe_dump({key: content[key]}, sort_keys=False, allow_unicode=True, width=WIDTH).rstrip("\n"))
    return "\n".join(lines) + "\n"


def keep_recipe(prepared: Prepared, file: Path, read_from: Path | None) -> None:
    """Write the file into a run's folder, unless it is the very one that the recipe was read from."""
    if read_from is not None and file.is_file():
        given = read_from / RECIPE_FILE if read_from.is_dir() else read_from
        if given.is_file() and file.samefile(given):
            return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, recipe_text(prepared))


def default_values(defaults: Sequence[DefaultChoice]) -> list[DefaultValue]:
    """For a run's results: keys with one value for one reason, such as both sides' voices, are one row."""
    keys: dict[tuple[str, str, str], list[str]] = {}
    for one in defaults:
        keys.setdefault((in_words(one.value), one.why, one.table), []).append(one.key)
    return [
        DefaultValue(key=", ".join(own), value=value, why=why, table=table) for (value, why, table), own in keys.items()
    ]


def in_words(value: Any) -> str:
    """A value on one line, as YAML has it."""
    if isinstance(value, str | float | int):
        return amount(value)
    return json.dumps(value, ensure_ascii=False).replace('"', "")


def _said(choice: DefaultChoice, section: str) -> str:
    key = choice.key.removeprefix(section).removeprefix(".")
    return (f"{key}: " if key else "") + choice.why + (f" ({choice.table})" if choice.table else "")


def _comment(text: str) -> str:
    indent = " " * (len(text) - len(text.lstrip()))
    wrapped = textwrap.wrap(text.strip(), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {indent}{'  ' * bool(number)}{line}" for number, line in enumerate(wrapped))


def _from_folder(value: Any, folder: Path) -> Any:
    """Every absolute path below a folder, as a path from it."""
    if isinstance(value, dict):
        return {key: _from_folder(one, folder) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_from_folder(one, folder) for one in value]
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_relative_to(folder):
        return str(Path(value).relative_to(folder))
    return value
