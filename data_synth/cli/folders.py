"""The verbs that take folders of clips: `join` puts shards together, `report` shows what was made."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from data_synth.cli.speak import QuietBar

EMBEDDED_CLIPS, MOST_EMBEDDED = 12, 1000  # `page.py` has the default too, and takes a second to import


class TransferChoice(StrEnum):
    """How the files of shards are brought."""

    link = "link"
    copy = "copy"
    move = "move"


class ReportFormat(StrEnum):
    """What a report is written as."""

    html = "html"
    json = "json"
    markdown = "markdown"


def join_command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The finished folders of all shards.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, or one that an earlier call began.")],
    clips: Annotated[TransferChoice, typer.Option(help="How files are brought.")] = TransferChoice.link,
    quiet: QuietBar = False,
) -> None:
    """Join the shards that --shard made into the folder that a single run makes, byte for byte."""
    from data_synth.run.join_shards import join_shards

    print(join_shards(folders, out, transfer=clips.value, progress=not quiet).summary())


def report_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of clips, finished or not.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: DIR/report.html; json and markdown are printed.")
    ] = None,
    format: Annotated[ReportFormat, typer.Option(help="A page to listen on, or the yields alone.")] = ReportFormat.html,
    clips: Annotated[
        int, typer.Option(min=0, max=MOST_EMBEDDED, help="Kept clips to embed, and rejected ones to show.")
    ] = EMBEDDED_CLIPS,
    seed: Annotated[int, typer.Option(help="Of the choice of clips.")] = 0,
) -> None:
    """Write a page of what was made: yields, histograms, clips to listen to."""
    from data_synth.report import yield_tables
    from data_synth.report.clip_report import write_file, write_report
    from data_synth.report.yields import measure

    if format is ReportFormat.html:
        print(f"report: {write_report(folder, out, clips=clips, seed=seed)}")
        return
    yields = measure(folder)
    text = yields.to_json() if format is ReportFormat.json else yield_tables.render(yields)
    if out is None:
        print(text, end="")
        return
    print(f"report: {write_file(out, text)}")
