"""The verb `verify`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from data_synth.cli.listing import AsJson
from speech_analogy.cli.options import Quiet


def verify_command(
    run: Annotated[Path, typer.Argument(help="A run's folder, or one of several runs.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read every file of a run again and count its scores from its transcripts; what fails, `adapt` makes anew."""
    from speech_analogy.adaptation.runs.verify import verify
    from speech_analogy.errors import DataError

    found = verify(run, progress=not quiet)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    else:
        print(found.summary(), *(f"{name}: {problem}" for name, problem in found.damaged.items()), sep="\n")
    if found.damaged:
        rule = "not everything here is what was written"
        do = "the same `adapt` makes it anew"
        raise DataError(rule, file=run, value=f"{len(found.damaged)} damaged", do=do)
    if not as_json:
        print("everything is what was written")
