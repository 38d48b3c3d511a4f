"""Every command that a page shows is one that the programs take, with options that they have."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from data_synth.cli.app import app as synthesis
from speech_analogy.cli.main import app as main
from tests.conftest import REPOSITORY

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "recipes/**/*.md", "tests/benchmarks/**/*.md")
    for path in REPOSITORY.glob(pattern)
)
PROGRAMS = {"speech-analogy": main, "python -m data_synth": synthesis}
LINE = re.compile(r"^(?: {4,}|\| `)?(?:\$ )?(speech-analogy|python -m data_synth) ([^`\n]*[^`\n\\ ])")


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The program and the arguments of each command line of a page; comments and what a shell adds are left out."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.split("\n"):
        found = LINE.match(line)
        if found is None or "…" in line:
            continue
        rest = re.split(r"\s#\s|\s#$|\s[|>&]|;", found[2])[0]
        yield found[1], shlex.split(rest)


def parse(command: Any, arguments: list[str], name: str) -> None:
    """Parse as the program would, down to the verb, and run nothing but what answers at once (`--methods`)."""
    try:
        context = command.make_context(name, list(arguments))
    except typer.Exit:
        return
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        verb, inner, arguments = command.resolve_command(context, rest)
        parse(inner, arguments, verb)


SHOWN = [
    pytest.param(program, arguments, id=f"{page.relative_to(REPOSITORY)}:{' '.join(arguments)[:60]}")
    for page in PAGES
    for program, arguments in commands(page)
]


@pytest.mark.parametrize(("program", "arguments"), SHOWN)
def test_commands_of_pages_are_taken(program: str, arguments: list[str]) -> None:
    parse(typer.main.get_command(PROGRAMS[program]), arguments, program)


def test_commands_are_found() -> None:
    assert len(SHOWN) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_python_of_pages_can_be_compiled(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        ast.parse(block)


def test_a_command_with_a_wrong_option_is_refused() -> None:
    arguments = ["adapt", "--texts", "menu.txt", "--sources", "recordings"]
    assert CliRunner().invoke(main, arguments).exit_code == 2
    with pytest.raises(Exception, match="No such option"):
        parse(typer.main.get_command(main), arguments, "speech-analogy")
