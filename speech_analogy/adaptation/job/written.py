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
        lines += [_comment(said) for said in _reasons(prepared.defaults, key)]
        lines.append(_section(key, content[key]))
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


def _section(key: str, value: Any) -> str:
    """One key of the recipe; what holds single values only stands on one line."""
    flow = None if isinstance(value, dict | list) else False
    dumped = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=flow)
    return str(dumped).rstrip("\n")


def _reasons(defaults: Sequence[DefaultChoice], section: str) -> list[str]:
    """Why values of a section were chosen, each reason once, with the keys that it is of."""
    keys: dict[str, list[str]] = {}
    for choice in defaults:
        if choice.key.split(".")[0] == section:
            why = choice.why + (f" ({choice.table})" if choice.table else "")
            keys.setdefault(why, []).append(choice.key.removeprefix(section).removeprefix("."))
    return [": ".join(filter(None, [", ".join(filter(None, names)), why])) for why, names in keys.items()]


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
