"""`python -m data_synth report DIR`: the page of a folder of clips, or its yields as JSON or Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_synth.report import markdown
from data_synth.report.page import CLIPS, write_report
from data_synth.report.yields import measure
from speech_analogy.errors import DataError
from speech_analogy.foundation.files import PARTIAL_SUFFIX


def main(arguments: Sequence[str], program: str = "python -m data_synth report") -> None:
    """Run the command with what comes after `report`, as typed in `program`; prints the page's path, or the yields.

    Raises:
        DataError: see `write_report`.
    """
    given = _parser(program).parse_args(arguments)
    if given.format == "html":
        print(f"report: {write_report(given.folder, given.out, clips=given.clips, seed=given.seed)}")
        return
    yields = measure(given.folder)
    text = yields.to_json() if given.format == "json" else markdown.render(yields)
    if given.out is None:
        print(text, end="")
        return
    temporary = given.out.with_name(given.out.name + PARTIAL_SUFFIX)
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(given.out)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", file=given.out) from None
    print(f"report: {given.out}")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="a folder that synthesize made, finished or not")
    add("--out", type=Path, help="the file (default: DIR/report.html; json and markdown are printed)")
    add("--format", choices=["html", "json", "markdown"], default="html")
    add("--clips", type=_count, default=CLIPS, help="kept clips to embed, rejected ones to show (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the choice of clips")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError("must be 0 to 1000")
    return value
