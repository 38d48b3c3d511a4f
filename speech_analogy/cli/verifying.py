"""The verb `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech_analogy.cli.options import Quiet


def verify_command(
    run: Annotated[Path, typer.Argument(help="A run's folder, or one of several runs.")],
    quiet: Quiet = False,
) -> None:
    """Read every file of a run again and count its scores from its transcripts; what fails, `adapt` makes anew."""
    from speech_analogy.adaptation.runs.verify import verify
    from speech_analogy.errors import DataError

    found = verify(run, progress=not quiet)
    print(found.summary())
    for name, problem in found.damaged.items():
        print(f"{name}: {problem}")
    if found.damaged:
        rule = "not everything here is what was written"
        do = "the same `adapt` makes it anew"
        raise DataError(rule, file=run, value=f"{len(found.damaged)} damaged", do=do)
    print("everything is what was written")
