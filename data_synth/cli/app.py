"""The program `python -m data_synth`, which `speech-analogy synthesize` mounts: its verbs, one of them by default."""

from __future__ import annotations

from typing import Any

import typer

from data_synth.cli.folders import join_command, report_command
from data_synth.cli.listing import engines_command, voices_command
from data_synth.cli.speak import speak_command
from speech_analogy.foundation.program import Verbs, run

PROGRAM = "python -m data_synth"
DEFAULT_VERB = "speak"
HELP_OPTIONS = ["-h", "--help"]


class SpeakByDefault(Verbs):
    """Verbs of which `speak` need not be said: `TEXTS --out DIR` is `speak TEXTS --out DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in (*self.commands, *HELP_OPTIONS):
            args = [DEFAULT_VERB, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The verbs, then all that the default one takes."""
        super().format_help(ctx, formatter)
        command = self.commands[DEFAULT_VERB]
        with command.make_context(DEFAULT_VERB, [], parent=ctx, resilient_parsing=True) as inner:
            command.format_help(inner, formatter)


app = typer.Typer(
    cls=SpeakByDefault,
    help="Text in, labelled speech out. A run that is stopped goes on when the same command is given again. "
    "`TEXTS --out DIR` speaks texts, without a verb.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS},
)
app.command(name=DEFAULT_VERB)(speak_command)
app.command(name="join")(join_command)
app.command(name="merge", hidden=True)(join_command)  # its name before
app.command(name="report")(report_command)
app.command(name="engines")(engines_command)
app.command(name="voices")(voices_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the program; ends by SystemExit. A mistake is one line and status 2.

    Args:
        arguments: in place of the command line's.
    """
    run(app, PROGRAM, arguments)
