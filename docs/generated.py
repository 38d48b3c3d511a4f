"""What the reference pages take from the code: every key of a recipe, every command with its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

RECIPE_FILE, COMMANDS_FILE = "recipe.md", "commands.md"
WORDS = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "$": "\\$"})


def write_reference(folder: Path) -> None:
    """Write the pages that are made from the code; a page that would not change is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((RECIPE_FILE, recipe_page()), (COMMANDS_FILE, commands_page())):
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def recipe_page() -> str:
    """Every key of a recipe: what it holds, its default, what it is for."""
    from speech_analogy.adaptation.recipe import Recipe

    begin = [
        "# Keys of a recipe",
        "",
        "Unknown keys are an error that names the nearest one. `speech-analogy adapt RECIPE --dry-run` shows what",
        "a recipe comes to, `--set KEY=VALUE` overrides any key.",
        "",
    ]
    return "\n".join([*begin, *_sections(Recipe)])


def commands_page() -> str:
    """Every command of both programs with its arguments and options."""
    from data_synth.cli.app import app as synthesis
    from speech_analogy.cli.main import app as main

    lines = ["# Commands", "", "Mistakes end in one line on standard error and exit status 2; Ctrl-C ends in 130.", ""]
    for program, app in (("speech-analogy", main), ("python -m data_synth", synthesis)):
        lines += _command(program, typer.main.get_command(app))
    return "\n".join(lines)


def models_of(kind: Any) -> list[type[BaseModel]]:
    """The option models that a key's type speaks of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in models_of(part)]


def _sections(root: type[BaseModel]) -> Iterator[str]:
    waiting, seen = [("", root)], {root}
    while waiting:
        name, model = waiting.pop(0)
        yield f"## {name or 'The recipe itself'}"
        yield ""
        first = (model.__doc__ or "").strip().split("\n\n")[0]
        yield first.translate(WORDS)
        yield ""
        yield "| key | holds | default | |"
        yield "|---|---|---|---|"
        for key, field in model.model_fields.items():
            yield f"| `{key}` | {_type(field)} | {_default(field)} | {(field.description or '').translate(WORDS)} |"
            for inner in models_of(field.annotation):
                if inner not in seen:
                    seen.add(inner)
                    waiting.append((f"{name}.{key}".lstrip("."), inner))
        yield ""


def _type(field: FieldInfo) -> str:
    text = str(field.annotation) if get_args(field.annotation) else getattr(field.annotation, "__name__", "any")
    for long in ("typing.", "pathlib.", "speech_analogy.", "data_synth."):
        text = text.replace(long, "")
    words = [re.sub(r"^(\W*)(?:\w+\.)+(?=\w)", r"\1", word) for word in text.replace("NoneType", "None").split(" ")]
    short = " ".join(words)
    return f"`{short}`".replace("|", "\\|") if len(short) <= 60 else "see below"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:
        return ""
    return f"`{field.default!r}`".replace("|", "\\|") if len(repr(field.default)) <= 40 else ""


def _command(name: str, command: Any) -> Iterator[str]:
    if getattr(command, "hidden", False):
        return
    yield f"## {name}"
    yield ""
    yield (command.help or "").split("\f")[0].translate(WORDS)
    yield ""
    parameters = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    if parameters:
        yield "| | default | |"
        yield "|---|---|---|"
    for parameter in parameters:
        names = ", ".join((*parameter.opts, *parameter.secondary_opts))
        shown = str(parameter.name).upper() if parameter.param_type_name == "argument" else names
        default = parameter.default if isinstance(parameter.default, str | int | float) else ""
        default = f"`{default}`" if default not in ("", False) else ""
        yield f"| `{shown}` | {default} | {(getattr(parameter, 'help', None) or '').translate(WORDS)} |"
    yield ""
    for inner, sub in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {inner}", sub)
