"""Filling one stage's folder: built beside its final name, timed, marked, renamed. The only way a stage is done."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from speech_analogy.adaptation.execution.protocol import Job
from speech_analogy.adaptation.plan.stage import elsewhere, sources
from speech_analogy.adaptation.records.mark import Mark, Source, damage, essences, mark, other_source, require_whole
from speech_analogy.foundation.disk.syncing import sync_folder, sync_tree
from speech_analogy.foundation.files import follow_umask, link_tree

SECONDS_SUFFIX = ".seconds"  # of the file beside a stage that is being built: its work so far
TICK_S = 1.0


def run_stage(job: Job) -> None:
    """Do one stage: fill `building`, rename it to `final`. Runs in a worker process.

    Raises:
        DamagedStageError: a file that it reads is not what the stage that made it has written.
        SpeechAnalogyError: what the stage found wrong.
    """
    if job.made_elsewhere is not None and _can_be_taken_over(job, job.made_elsewhere):
        shutil.rmtree(job.building, ignore_errors=True)
        link_tree(job.made_elsewhere, job.building)
    else:
        _fill(job)
    if job.final.exists():  # it is damaged, or somebody's copy without its mark
        shutil.rmtree(job.final)
    _seconds_file(job.building).unlink(missing_ok=True)
    follow_umask(job.building)
    sync_tree(job.building)
    job.building.rename(job.final)
    sync_folder(job.final.parent)


def _fill(job: Job) -> None:
    from speech_analogy.adaptation.records.making import made_here  # heavy: only workers pay for it
    from speech_analogy.adaptation.stages.registry import do
    from speech_analogy.adaptation.stages.work import Work

    for folder in (*job.inputs.values(), *elsewhere(job.stage.params)):
        require_whole(folder)
    job.building.mkdir(parents=True, exist_ok=True)
    spent, start = _spent(job.building), time.monotonic()
    stop = threading.Event()
    timekeeper = threading.Thread(target=_keep_time, args=(job.building, spent, start, stop), daemon=True)
    timekeeper.start()
    try:
        do(Work(job.stage.name, job.building, job.final, job.stage.params, job.inputs, job.progress))
    finally:
        stop.set()
        timekeeper.join()
    follow_umask(job.building)
    seconds = round(spent + time.monotonic() - start, 1)
    mark(job.building, job.stage.name, seconds, made_here(job.command), _sources(job))


def _sources(job: Job) -> list[Source]:
    return sources(job.stage.params, job.inputs)


def _can_be_taken_over(job: Job, there: Path) -> bool:
    """The same stage of another run is whole, and was made from what this run has."""
    if damage(there, thorough=True) is not None:
        return False
    return other_source(Mark.read(there).inputs, essences(_sources(job))) is None


def _seconds_file(building: Path) -> Path:
    """Beside the folder and not in it: who fills a folder may ask that it is empty."""
    return building.with_name(building.name + SECONDS_SUFFIX)


def _spent(building: Path) -> float:
    try:
        return float(_seconds_file(building).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _keep_time(building: Path, spent: float, start: float, stop: threading.Event) -> None:
    while not stop.wait(TICK_S):
        _seconds_file(building).write_text(f"{spent + time.monotonic() - start:.1f}", encoding="utf-8")
