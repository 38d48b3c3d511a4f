"""`write_report`: a finished run folder becomes `results.md`, `report.html` and the card of its model."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.cards.records import CARD_FILE, facts
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.contents import digest_of
from speech_analogy.foundation.disk.refusals import os_errors
from speech_analogy.foundation.files import write_json, write_whole
from speech_analogy.foundation.user_files.json_text import parse_json
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.recognisers.model_record import model_type_of, provenance
from speech_analogy.report import cards, markdown, page

RESULTS_FILE, MARKDOWN_FILE, PAGE_FILE = "results.json", "results.md", "report.html"
CONFIG_FILE = "config.json"  # of a model
PUBLISHED_FILE = "published.json"
"""Which system the run's model is; written where it is given, read where it is not."""
PUBLISHED_FOLDER = page.MODEL_FOLDER


def write_report(run: Path, published: str | None = None, good_enough: float | None = None) -> Path:
    """Write `results.md`, `report.html` and, of a run with a model, `model/README.md`, from what the run found.

    The folder may have been copied from where it was made: recordings that are no longer found are left out
    of the page, which says how many. The files are derived from results.json, so older ones are replaced.

    Args:
        run: a folder with `results.json` and the hypotheses files it names.
        published: the system that `run/model` is; None: what an earlier report recorded, or no card.
        good_enough: the WER in percent that the user needs; the page says whether it was reached.

    Returns:
        The path of `report.html`.

    Raises:
        DataError: there is no results.json, or it or a hypotheses file is not what it must be; or the run did not
            measure the published system.
    """
    results = Results.read(run / RESULTS_FILE)
    html = page.render(results, run, good_enough, source=digest_of(run / RESULTS_FILE))
    system = (published or recorded_system(run)) if _has_model(run) else None
    card = None if system is None else card_of(results, run, system)
    with os_errors(run):
        if card is not None and published is not None:
            write_json(run / PUBLISHED_FILE, {"system": published})
        write_whole(run / MARKDOWN_FILE, markdown.render(results))
        if card is not None:  # replaced, not written into: a stage's own file of that name stays as it is
            write_whole(run / PUBLISHED_FOLDER / CARD_FILE, card)
        write_whole(run / PAGE_FILE, html)
    return run / PAGE_FILE


def _has_model(run: Path) -> bool:
    """A linked folder belongs to something else."""
    model = run / PUBLISHED_FOLDER
    return model.is_dir() and not model.is_symlink()


def card_of(results: Results, run: Path, system: str) -> str:
    """The card of the run's model.

    Args:
        system: what the model is.
    """
    model = run / PUBLISHED_FOLDER
    kind = model_type_of(model) if (model / CONFIG_FILE).is_file() else None
    return cards.model_card(results, facts(provenance(model)), name=system, kind=kind)


def recorded_system(run: Path) -> str | None:
    """The system that the run's model is, as an earlier report recorded it; None where none did.

    Raises:
        DataError: the record does not name one.
    """
    record = run / PUBLISHED_FILE
    if not record.exists():
        return None
    do = "delete it, or give --system"
    try:
        content = parse_json(read_text(record, do=do))
    except ValueError:
        content = None
    system = content.get("system") if isinstance(content, dict) else None
    if not isinstance(system, str):
        raise DataError("does not name a system", file=record, do=do)
    return system
