"""The verb `report`, and how a run ends on the terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from data_synth.cli.listing import AsJson
from speech_analogy.errors import ConfigError


def report_command(
    run: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="A run's folder, with results.json; several: a comparison."),
    ],
    system: Annotated[
        str | None, typer.Option(help="The system that RUN/model is; by default what `adapt` recorded.")
    ] = None,
    good_enough: Annotated[
        float | None, typer.Option(min=0.0, help="The WER in percent that you need: the page says whether it is met.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write results.md, report.html and the model's card of a run and print its table; or compare several runs."""
    if len(run) > 1:
        if system is not None or good_enough is not None:
            raise ConfigError("is of one run", field="--good-enough" if system is None else "--system", do="name one")
        show_runs(run, as_json)
    else:
        show_report(run[0], system, good_enough, as_json)


def show_report(
    run: Path, published: str | None = None, good_enough: float | None = None, as_json: bool = False
) -> None:
    """Write a run's report and print its table, or its results as JSON."""
    from speech_analogy.evaluation.results import Results
    from speech_analogy.report.report import write_report
    from speech_analogy.report.screen import table

    page = write_report(run, published, good_enough)
    results = Results.read(run / "results.json")
    print(results.to_json() if as_json else table(results))
    print(f"report: {page.resolve()}", file=sys.stderr if as_json else None)


def show_runs(runs: list[Path], as_json: bool = False) -> None:
    """Print what several runs published, with the paired difference of each to the first."""
    from speech_analogy.foundation.listing import print_table
    from speech_analogy.report.deciding.several import COLUMNS, cells, compare_runs, notes

    rows = compare_runs(runs)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    print_table(COLUMNS, list(map(cells, rows)))
    print("", *notes(rows), sep="\n")
