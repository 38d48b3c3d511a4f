"""Names and texts with escapes for a terminal, markup or halves of characters: shown as text wherever it is."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console

from speech_analogy.errors import DataError
from speech_analogy.foundation.listing import print_table
from speech_analogy.foundation.page.templating import template_environment
from speech_analogy.foundation.program import PlainStream, Verbs, run
from speech_analogy.foundation.progress import Lines, bar, rendered_by
from speech_analogy.plain_text import shown
from speech_analogy.report.markdown import text as markdown_text
from tests.conftest import REPOSITORY

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mred\u202egnp\ud800\x08|<b>"
STEERING = "\x1b\x07\x9b\u202e\ud800\x08"

app = typer.Typer(cls=Verbs)


@app.command()
def fail(how: str) -> None:
    if how == "error":
        raise DataError(f"rule {EVIL}", file=f"/x/{EVIL}", field=EVIL, value=EVIL)
    print_table(["name", "other"], [[EVIL, "x"], ["y\nz", "w"]])
    print(f"speaker {EVIL}")
    print(json.dumps({"name": EVIL}, ensure_ascii=False))


@app.command()
def other() -> None:
    """Of two verbs, so that both are named."""


def clean(text: str) -> bool:
    return not set(text) & set(STEERING)


@pytest.mark.parametrize("how", ["error", "lists"])
def test_what_a_program_prints(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(app, "program", ["fail", how])
    said = capsys.readouterr()
    assert clean(said.out + said.err)
    assert r"\u001b[2J" in said.out + said.err
    if how == "lists":
        lines = said.out.splitlines()
        assert lines[2].split() == ["y", "z", "w"]
        assert json.loads(lines[-1])["name"] == EVIL  # JSON on standard output means what it meant


def test_an_argument_that_the_parser_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(app, "program", [f"--{EVIL}"])
    assert clean(capsys.readouterr().err)


def test_progress_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with rendered_by(Lines()), bar(3, f"reading {EVIL}", "files") as shown_bar:
        shown_bar.note(name=EVIL)
        Lines().say(f"skipped {EVIL}")
    assert clean(capsys.readouterr().err)


IN_A_TERMINAL = """
from speech_analogy.foundation.program import run
from speech_analogy.foundation.progress import bar, say
from tests.faults.test_escapes import EVIL, app
from speech_analogy.foundation.listing import print_table
import sys
with bar(3, "reading " + EVIL, "files") as under_way:
    under_way.update()
    say("skipped " + EVIL)
print_table(["a"], [[EVIL]])
run(app, "program", sys.argv[1:])
"""


@pytest.mark.parametrize("arguments", [["fail", "lists"], ["fail", "error"]])
def test_in_a_terminal_the_styles_are_our_own(arguments: list[str]) -> None:
    parent, child = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *arguments], stdout=child, stderr=child, cwd=REPOSITORY, env=env
    )
    os.close(child)
    said = b""
    try:
        while block := os.read(parent, 1 << 16):
            said += block
    except OSError:  # its end, on Linux
        pass
    process.wait()
    os.close(parent)
    assert b"\x1b]0;" not in said
    assert b"\x1b[2J" not in said
    assert not {"\x07", "\x9b", "\u202e"} & set(said.decode())
    assert rb"\u001b[2J" in said


def test_help_keeps_its_styles() -> None:
    """Rich's consoles write past the door that steering characters are stopped at."""
    raw = io.StringIO()
    stream = PlainStream(raw)
    assert stream.write("a\x1bb") == 3
    stream.writelines(["c\n", "\x1b"])
    Console(file=stream, force_terminal=True, color_system="standard").print("[red]d[/red]")
    assert raw.getvalue().startswith("a\\u001bbc\n\\u001b\x1b[31md")


def test_reports(tmp_path: Path) -> None:
    assert clean(markdown_text(EVIL))
    assert r"\|" in markdown_text(EVIL)
    environment = template_environment("data_synth.report")
    page = environment.from_string("{{ name }}{{ made }}").render(
        name=EVIL, made=environment.filters["safe"]("<i>\x1b")
    )
    assert clean(page)
    assert page.endswith("|&lt;b&gt;<i>\\u001b")


@pytest.mark.parametrize("text", ["plain", "tab\tand\nline", "עברית", "ⵣ e\u0301 👩‍👩‍👧", "a\u2028b"])
def test_what_steers_nothing_stays(text: str) -> None:
    assert shown(text) is text
