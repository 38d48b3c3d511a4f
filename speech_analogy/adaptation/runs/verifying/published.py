"""A run's published model against the stage it is a copy of, and what stands beside it: its record, card and report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.records.mark import DamagedStageError, Mark
from speech_analogy.adaptation.runs.verifying.from_stages import Records
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER
from speech_analogy.cards.records import CARD_FILE
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.evaluation.environment import TOOLKIT
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.contents import digest_of, files_below
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.merging.io.model_folder import finish
from speech_analogy.report import markdown, page
from speech_analogy.report.report import (
    MARKDOWN_FILE,
    PAGE_FILE,
    PUBLISHED_FILE,
    RESULTS_FILE,
    card_of,
    recorded_system,
)

ANEW = "`speech-analogy report RUN` writes it anew"


def unlike_its_stage(run: Path, results: Results) -> Iterator[tuple[str, str]]:
    """Files of `RUN/model` that are not what the stage has made and publishing has added: file -> what is wrong."""
    model = run / MODEL_FOLDER
    if not model.is_dir():
        return
    stage = _stage_of(run, results)
    if stage is None:
        return
    own = _as_published(stage)
    there = files_below(model)
    for name in sorted({*own, *there} - {CARD_FILE}):  # the report has written the card
        file = f"{MODEL_FOLDER}/{name}"
        if name not in there:
            yield file, f"it is missing, and {stage.name} has made it"
        elif name not in own:
            yield file, f"{stage.name} has made no such file"
        elif digest_of(model / name) != own[name]:
            yield file, f"it is not what {stage.name} has made"


def _stage_of(run: Path, results: Results) -> Path | None:
    """The stage whose model is published; of several of that name the one that most files are of."""
    records = Records(run)
    system = results.published or _said(run) or "analogy"
    made = (names.WIDENED, names.PUBLISHED, names.model(system))
    name = next((one for one in made if one in results.seconds), None)
    folders = records.folders.get(name, []) if name else []
    return max(folders, key=lambda folder: _agreeing(folder, run / MODEL_FOLDER), default=None)


def _said(run: Path) -> str | None:
    try:
        return recorded_system(run)
    except SpeechAnalogyError:
        return None


def _agreeing(stage: Path, model: Path) -> int:
    sizes = ((model / name, size) for name, (_, size) in _files_of(stage).items())
    return sum(path.is_file() and path.stat().st_size == size for path, size in sizes)


def _files_of(stage: Path) -> dict[str, tuple[str, int]]:
    """Of the stage's model: file -> digest, bytes, as the stage has recorded them."""
    try:
        known = Mark.read(stage).files or {}
    except DamagedStageError:
        known = {}
    below = f"{MODEL_FOLDER}/"
    return {name.removeprefix(below): (one.digest, one.size) for name, one in known.items() if name.startswith(below)}


def _as_published(stage: Path) -> dict[str, str]:
    """File -> digest, of a stage's model with what publishing adds: made once more, from links to the stage's files."""
    known = {name: digest for name, (digest, _) in _files_of(stage).items()}
    source = stage / MODEL_FOLDER
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / MODEL_FOLDER
        for name in files_below(source):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to((source / name).resolve())
        finish(folder)  # what it writes takes a link's place
        own = {name: known.get(name, "") for name in files_below(folder) if (folder / name).is_symlink()}
        return {name: own.get(name) or digest_of(folder / name) for name in files_below(folder)}


def unlike_the_results(run: Path, results: Results) -> Iterator[tuple[str, str]]:
    """What stands beside the results and does not follow from them: record, report, card -> what is wrong.

    A report by another version of the toolkit may have other words: of it only the results that it shows are compared.
    """
    try:
        system = recorded_system(run)
    except SpeechAnalogyError as error:
        yield PUBLISHED_FILE, error.rule
        return
    measured = {one.name for one in results.systems} | ({results.published} if results.published else set())
    if system is not None and (system not in measured or results.published not in ("", system)):
        yield PUBLISHED_FILE, f"it names {system}, which is not what the run has published"
    if not (run / PAGE_FILE).is_file():
        return
    source, toolkit = page.source_of(read_text(run / PAGE_FILE))
    if source and source != digest_of(run / RESULTS_FILE):
        yield PAGE_FILE, f"it shows other results than {RESULTS_FILE} holds; {ANEW}"
    elif source and toolkit == version(TOOLKIT):
        yield from _rendered(run, results, system)


def _rendered(run: Path, results: Results, system: str | None) -> Iterator[tuple[str, str]]:
    own = {MARKDOWN_FILE: markdown.render(results)}
    card = f"{MODEL_FOLDER}/{CARD_FILE}"
    if system is not None and (run / card).is_file():
        with suppress(SpeechAnalogyError):  # a file of the model is broken, which is said of that file
            own[card] = card_of(results, run, system)
    for file, text in own.items():
        if not (run / file).is_file() or (run / file).read_bytes() != text.encode():
            yield file, f"it does not follow from {RESULTS_FILE}; {ANEW}"
