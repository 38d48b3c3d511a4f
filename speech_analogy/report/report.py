"""`write_report`: a finished run folder becomes `results.md` and `report.html`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results
from speech_analogy.report import markdown, page

RESULTS_FILE, MARKDOWN_FILE, PAGE_FILE = "results.json", "results.md", "report.html"


def write_report(run: Path) -> Path:
    """Write `results.md` and `report.html` into a run folder, anew from its results.json and hypotheses.

    The folder may have been copied from where it was made: recordings that are no longer found are left out
    of the page, which says how many. The two files are derived from results.json, so older ones are replaced.

    Args:
        run: a folder with `results.json` and the hypotheses files it names.

    Returns:
        The path of `report.html`.

    Raises:
        DataError: there is no results.json, or it or a hypotheses file is not what it must be.
    """
    results = Results.read(run / RESULTS_FILE)
    html = page.render(results, run)
    write_whole(run / MARKDOWN_FILE, markdown.render(results))
    return write_whole(run / PAGE_FILE, html)


def write_whole(path: Path, text: str) -> Path:
    """Write a text file whole or not at all and return its path; DataError where it cannot be written."""
    temporary = path.with_name(path.name + ".partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        return temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DataError("the file cannot be written", file=path, value=error.strerror) from None
