"""Everything of a run once more: every file of every stage is read, every score is counted from its transcripts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from speech_analogy.adaptation.execution.protocol import RunError
from speech_analogy.adaptation.plan.stage import STAGES_FOLDER
from speech_analogy.adaptation.records.mark import DAMAGED_FILE, DONE_FILE, DamagedStageError, Mark, damage, disown
from speech_analogy.adaptation.runs.key import KEY_FILE, RESULTS_FILE, changed
from speech_analogy.adaptation.runs.verifying.figures import label, unfounded
from speech_analogy.adaptation.runs.verifying.from_stages import Records, not_of_stages
from speech_analogy.adaptation.runs.verifying.published import unlike_its_stage, unlike_the_results
from speech_analogy.adaptation.runs.verifying.rescoring import rescored
from speech_analogy.adaptation.stages.params.base import HYPOTHESES_FILE, SCORE_FILE
from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.evaluation.results import Hypothesis, Results, System, read_hypotheses
from speech_analogy.foundation.locks import held
from speech_analogy.foundation.progress import track

MOST_SAID = 3  # problems of one score; the others are counted


@dataclass
class Verification:
    """What was found in a run's folder.

    Attributes:
        stages: finished ones, that were read.
        unrecorded: of these, how many carry no digests, as of earlier versions.
        nbytes: of their files, that were read.
        scores: that were counted from their transcripts.
        damaged: stage's folder or file of the run, from the folder that was asked about -> what is wrong with it.
    """

    stages: int = 0
    unrecorded: int = 0
    nbytes: int = 0
    scores: int = 0
    damaged: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """One line of what was done."""
        without = f", {self.unrecorded} of them of a version that kept no digests" if self.unrecorded else ""
        read = f"{self.stages} stages{without}; {self.nbytes / 1e6:.1f} MB read"
        return f"{read}; {self.scores} scores counted from their transcripts"


def verify(folder: str | Path, *, progress: bool = True) -> Verification:
    """Check a run, or a folder of several (of `--vary` or `--targets`); damaged stages count as not done from then on.

    Args:
        folder: the run's.

    Raises:
        DataError: no finished stage is there.
        RunError: a process works in it.
    """
    folder = Path(folder)
    runs = sorted(_runs_below(folder))
    found = Verification()
    stages = [(run, stage) for run in runs for stage in _stages_of(run)]
    if not stages:
        raise DataError("no run: there is no finished stage", file=folder, do="name the folder of a run of `adapt`")
    for run in filter(_is_writable, runs):
        with held(run, RunError):  # nobody is making what would be looked at
            pass
    records = {run: Records(run) for run in runs}
    for run, stage in track(stages, "verify", "stages", show=progress):
        problem = _of_stage(stage, records[run], found)
        if problem is not None:
            found.damaged[stage.relative_to(folder).as_posix()] = problem
            if _is_writable(run):
                _make_anew(run, stage)
    for run in runs:
        for file, problem in _of_results(run, found):
            found.damaged[(run / file).relative_to(folder).as_posix()] = problem
    return found


def _is_writable(run: Path) -> bool:
    return os.access(run, os.W_OK)


def _runs_below(folder: Path) -> Iterator[Path]:
    """Folders with stages; stages themselves are not looked into."""
    for parent, names, _ in os.walk(folder):
        if STAGES_FOLDER in names:
            yield Path(parent)
            names.remove(STAGES_FOLDER)


def _stages_of(run: Path) -> list[Path]:
    marks = (DONE_FILE, DAMAGED_FILE)
    folders = sorted(path for path in (run / STAGES_FOLDER).iterdir() if not path.name.startswith("."))
    return [path for path in folders if any((path / name).is_file() for name in marks)]


def _of_stage(stage: Path, records: Records, found: Verification) -> str | None:
    """What is wrong with one stage."""
    if not (stage / DONE_FILE).is_file():
        return "a file of this stage, or of one that it was made from, was found changed before"
    found.stages += 1
    problem = damage(stage, thorough=True)
    if problem is not None:
        return problem
    files = Mark.read(stage).files
    if files is None:
        found.unrecorded += 1
    else:
        found.nbytes += sum(file.size for file in files.values())
    source = _other_source(stage, records)
    if source is not None:
        return f"{source} is another one than it was made from"
    wrong = _of_score(stage, found)
    return None if not wrong else f"{SCORE_FILE} does not follow from {HYPOTHESES_FILE}: {_some(wrong)}"


def _other_source(stage: Path, records: Records) -> str | None:
    """The output that a stage was made from and that no finished stage of that name has."""
    for name, outputs in Mark.read(stage).inputs.items():
        for output, essence in outputs.items():
            there = [now for folder in records.folders.get(name, ()) if (now := _essence(folder, output)) is not None]
            if there and essence not in there:
                return f"{name}/{output}"
    return None


def _essence(folder: Path, output: str) -> str | None:
    try:
        return Mark.read(folder).essence(output)
    except DamagedStageError:
        return None


def _of_score(stage: Path, found: Verification) -> list[str]:
    if not ((stage / SCORE_FILE).is_file() and (stage / HYPOTHESES_FILE).is_file()):
        return []
    try:
        system = System(**json.loads((stage / SCORE_FILE).read_text(encoding="utf-8"))["system"])
        rows = read_hypotheses(stage / HYPOTHESES_FILE)
    except (SpeechAnalogyError, ValidationError, ValueError, KeyError, TypeError):
        return ["they cannot be read"]
    found.scores += 1
    return rescored(system, rows)


def _of_results(run: Path, found: Verification) -> Iterator[tuple[str, str]]:
    """What is wrong with the run's own files; `adapt` writes them anew each time."""
    if not (run / RESULTS_FILE).is_file():
        return
    altered = changed(run)
    for file in altered:
        if file != RESULTS_FILE:
            yield file, "it is not what was written"
    try:
        results = Results.read(run / RESULTS_FILE)
    except DataError as error:
        yield RESULTS_FILE, error.rule
        return
    transcripts: dict[str, list[Hypothesis]] = {}
    for system in results.systems:
        try:
            transcripts[system.hypotheses_file] = read_hypotheses(run / system.hypotheses_file)
        except DataError as error:
            yield system.hypotheses_file, error.rule
    found.scores += len(transcripts)
    wrong = wrong_figures(run, results, transcripts)
    if wrong:
        yield RESULTS_FILE, f"it does not follow from transcripts and stages: {_some(wrong)}"
    elif RESULTS_FILE in altered:
        yield RESULTS_FILE, "it is not what was written"
    yield from unlike_its_stage(run, results)
    yield from unlike_the_results(run, results)


def wrong_figures(run: Path, results: Results, transcripts: Mapping[str, Sequence[Hypothesis]]) -> list[str]:
    """Figures of a run's results that do not follow from its transcripts or that no stage of it says.

    Args:
        transcripts: a system's `hypotheses_file` -> its rows, of those that can be read.
    """
    scores = [
        f"{label(system)}: {problem}"
        for system in results.systems
        if system.hypotheses_file in transcripts
        for problem in rescored(system, transcripts[system.hypotheses_file])
    ]
    return [*scores, *unfounded(results, transcripts), *not_of_stages(run, results)]


def _some(problems: list[str]) -> str:
    more = f" and {len(problems) - MOST_SAID} more" if len(problems) > MOST_SAID else ""
    return "; ".join(problems[:MOST_SAID]) + more


def _make_anew(run: Path, stage: Path) -> None:
    """The next `adapt` shall not count the stage as done, nor the run as measured."""
    with held(run, RunError, again=True):
        disown(stage)
        (run / KEY_FILE).unlink(missing_ok=True)
