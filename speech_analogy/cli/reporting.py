"""The verb `report`, and how a run ends on the terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from data_synth.cli.listing import AsJson
from speech_analogy.cli.options import Overwrite
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


class HypothesesFormChoice(StrEnum):
    """See `--format`."""

    nemo = "nemo"
    trn = "trn"
    csv = "csv"


def hypotheses_command(
    run: Annotated[Path, typer.Argument(help="A folder with results.json, of `adapt`, `evaluate` or `score`.")],
    form: Annotated[
        HypothesesFormChoice,
        typer.Option("--format", help="nemo: audio_filepath, text, pred_text a line; trn; csv."),
    ] = HypothesesFormChoice.nemo,
    system: Annotated[str | None, typer.Option(help="By default what the run is about.")] = None,
    references: Annotated[
        bool, typer.Option("--references", help="With trn: the references in place of the transcripts.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The file to write; by default they are printed.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a system's transcripts of the test in a form that other tools read."""
    from speech_analogy.errors import DataError
    from speech_analogy.evaluation.given.writing import written
    from speech_analogy.evaluation.results import Results, read_hypotheses
    from speech_analogy.foundation.files import whole_file
    from speech_analogy.foundation.suggest import nearest
    from speech_analogy.report import ranking

    if references and form is not HypothesesFormChoice.trn:
        raise ConfigError("is of trn alone: the other forms have both", field="--references", do="leave it out")
    results = Results.read(run / "results.json")
    about = ranking.subject(results) if system is None else ranking.find(results, system)
    if about is None:
        if system is None:
            raise DataError("no recordings of the target were heard here", file=run, do="give `adapt` some as --test")
        names = dict.fromkeys(one.name for one in results.systems)
        raise DataError("is not measured here", file=run, field="--system", value=system, do=nearest(system, names))
    text = written(read_hypotheses(run / about.hypotheses_file), form.value, run, references=references)
    if out is None:
        print(text, end="")
        return
    with whole_file(out, overwrite=overwrite) as file:
        file.write_text(text, encoding="utf-8")
    print(f"transcripts: {out}")
