"""How a program ends: 0, 2 with one line for what the user can mend, 130 for Ctrl-C, a traceback for our mistakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Annotated

import pytest
import typer

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.program import Verbs, run

app = typer.Typer(cls=Verbs, no_args_is_help=True)
below = typer.Typer(cls=Verbs, no_args_is_help=True)
app.add_typer(below, name="below")


@app.command()
def good() -> str:
    """Works."""
    print("done")
    return "a verb's value is no status"


@app.command()
def bad() -> None:
    """Refuses."""
    raise ConfigError("must be good", field="--way", value="bad", do="mend it")


@app.command()
def ours() -> None:
    """Has a mistake of our own."""
    raise ZeroDivisionError("ours")


@app.command()
def status(number: Annotated[int, typer.Argument(min=0)]) -> None:
    """Ends with a status."""
    raise typer.Exit(number)


@below.command()
def interrupted() -> None:
    """Gets Ctrl-C, whatever a shell's background job was told to ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


@below.command()
def aborted() -> None:
    """Gives up at a question."""
    raise typer.Abort


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run(app, "prog", list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["good"], 0, ""),
        (["--help"], 0, ""),
        (["good", "--help"], 0, ""),
        (["status", "7"], 7, ""),
        (["status", "0"], 0, ""),
        (["bad"], 2, "prog: --way: must be good (found 'bad'); mend it"),
        (["goood"], 2, "prog: No such command 'goood'. Did you mean 'good'?; see prog --help"),
        (["good", "--fast"], 2, "prog good: No such option: --fast; see prog good --help"),
        (["status"], 2, "prog status: Missing argument 'NUMBER'; see prog status --help"),
        (["status", "x"], 2, "prog status: Invalid value for 'NUMBER': "),
        (["below", "interrupted"], 130, "prog: interrupted; the same command goes on from here"),
        (["below", "aborted"], 130, "prog: interrupted; the same command goes on from here"),
    ],
)
def test_endings(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, line: str) -> None:
    assert ended(*arguments) == code
    shown = capsys.readouterr().err
    assert shown.lower().startswith(line.lower())  # Typer's releases differ in the case of arguments
    assert len(shown.splitlines()) == (1 if line else 0)


@pytest.mark.parametrize("arguments", [[], ["below"]])
def test_no_verb_is_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert ended(*arguments) == 2
    shown = capsys.readouterr()
    assert "Usage: prog" in shown.out
    assert not shown.err.strip()


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(app, "prog", ["ours"])


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = (
        "import typer\n"
        "from speech_analogy.foundation.program import Verbs, run\n"
        "app = typer.Typer(cls=Verbs)\n"
        "@app.callback()\ndef all(): pass\n"
        "@app.command()\ndef much():\n    for i in range(100000): print('x' * 100)\n"
        "run(app, 'prog', ['much'])\n"
    )
    found = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -1', sys.executable, code], capture_output=True, text=True, check=False
    )
    assert found.stdout == "x" * 100 + "\n"
    assert "Traceback" not in found.stderr
