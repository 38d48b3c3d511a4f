"""How every program of the project ends: what the user can mend is one line on stderr and exit status 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperGroup

from speech_analogy.errors import ConfigError, SpeechAnalogyError
from speech_analogy.foundation.disk.apart import apart
from speech_analogy.foundation.disk.refusals import in_one_line
from speech_analogy.plain_text import plain, shown

USER_ERROR_STATUS = 2
HOME = "~"
INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells count


class Interrupted(BaseException):
    """Ctrl-C inside a verb. Typer would turn a KeyboardInterrupt into a silent exit."""


class Verbs(TyperGroup):
    """A group of verbs that lets Ctrl-C through: `typer.Typer(cls=Verbs)`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


class PlainStream:
    """A text stream that writes out what would steer the terminal behind it.

    Rich's consoles, whose styles are such characters, write to `rich_proxied_file`; their texts are `shown` one by one.
    """

    def __init__(self, stream: Any) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write text; as many characters as it has are said to be written."""
        self.rich_proxied_file.write(shown(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write lines, with their ends."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """What is printed while the block lasts passes through a `PlainStream`. (Standard error has its own doors: `_fail`
    and `progress`; libraries draw bars there.)"""
    with redirect_stdout(cast(Any, PlainStream(sys.stdout))):
        yield


def have_streams() -> None:
    """Standard streams that take any text: closed ones lead nowhere, and what an encoding lacks is written out."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> None:
    """Run a program; ends by SystemExit, whatever happens.

    Args:
        app: with `cls=Verbs`.
        program: its name in messages.
        arguments: in place of the command line's.
    """
    have_streams()
    try:
        asked = usable_arguments(sys.argv[1:] if arguments is None else arguments)
        with plain_output():
            status = _guarded(typer.main.get_command(app)).main(args=asked, prog_name=program, standalone_mode=False)
    except SpeechAnalogyError as error:
        status = _fail(program, str(error))
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        print(f"{program}: interrupted; the same command goes on from here", file=sys.stderr)
        status = INTERRUPTED_STATUS
    except Exception as error:
        refused = in_one_line(error)
        status = _usage(program, error) if refused is None else _fail(program, refused)
    raise SystemExit(status if isinstance(status, int) else 0)


def usable_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the home folder where a shell has left its sign: `--out=~/run`.

    Raises:
        ConfigError: one is no text in UTF-8, as a file's name may be: it could not be written into any record.
    """
    for one in arguments:
        try:
            one.encode()
        except UnicodeEncodeError:
            do = "rename the file or folder"
            raise ConfigError(
                "an argument must be UTF-8", field="command line", value=ascii(one)[1:-1], do=do
            ) from None
    return [_at_home(one) for one in arguments]


def _at_home(argument: str) -> str:
    option, sign, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return option + sign + (str(Path(value).expanduser()) if value == HOME or value.startswith(f"{HOME}/") else value)


def _guarded(command: Any) -> Any:
    """A verb, or a group with all of its verbs, that looks at what is asked first."""
    for one in getattr(command, "commands", {}).values():
        _guarded(one)
    if command.callback is not None:
        command.callback = apart(command.callback)
    return command


def _usage(program: str, error: Exception) -> int:
    """What Typer's parser found wrong; its exceptions have no public home that all versions share."""
    if not hasattr(error, "format_message"):
        raise error
    message = str(error.format_message())
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message)
        return USER_ERROR_STATUS
    context = getattr(error, "ctx", None)
    where = context.command_path if context else program
    said = " ".join(message.replace("Value error, ", "").split()).rstrip(".")
    return _fail(where, f"{said}; see {where} --help")


def _fail(program: str, message: str) -> int:
    print(f"{program}: {plain(message)}", file=sys.stderr)
    return USER_ERROR_STATUS
