"""How every program of the project ends: what the user can mend is one line on stderr and exit status 2."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from speech_analogy.errors import SpeechAnalogyError

USER_ERROR_STATUS = 2
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


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> None:
    """Run a program; ends by SystemExit, whatever happens.

    Args:
        app: with `cls=Verbs`.
        program: its name in messages.
        arguments: in place of the command line's.
    """
    try:
        status = typer.main.get_command(app).main(args=arguments, prog_name=program, standalone_mode=False)
    except SpeechAnalogyError as error:
        status = _fail(program, str(error))
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        print(f"{program}: interrupted; the same command goes on from here", file=sys.stderr)
        status = INTERRUPTED_STATUS
    except Exception as error:
        status = _usage(program, error)
    raise SystemExit(status if isinstance(status, int) else 0)


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
    print(f"{program}: {message}", file=sys.stderr)
    return USER_ERROR_STATUS
