"""Filling one stage's folder: built beside its final name, timed, marked, renamed."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from speech_analogy.adaptation.plan.stage import DONE_FILE, Stage

SECONDS_SUFFIX = ".seconds"  # of the file beside a stage that is being built: its work so far


def run_stage(stage: Stage, building: Path, final: Path, inputs: dict[str, Path], progress: bool) -> None:
    """Do one stage: fill `building`, rename it to `final`. Runs in a worker process."""
    from speech_analogy.adaptation.stages.registry import KINDS
    from speech_analogy.adaptation.stages.work import Work

    building.mkdir(parents=True, exist_ok=True)
    spent, start = _spent(building), time.monotonic()
    stop = threading.Event()
    clockwork = threading.Thread(target=_keep_time, args=(building, spent, start, stop), daemon=True)
    clockwork.start()
    try:
        KINDS[stage.kind].function(Work(stage.name, building, final, stage.params, inputs, progress))
    finally:
        stop.set()
        clockwork.join()
    seconds = spent + time.monotonic() - start
    (building / DONE_FILE).write_text(f'{{"name": "{stage.name}", "seconds": {seconds:.1f}}}\n', encoding="utf-8")
    if final.exists():  # whole but for its mark: cannot happen by a kill, so it is somebody's copy
        shutil.rmtree(final)
    _seconds_file(building).unlink(missing_ok=True)
    building.rename(final)


def _seconds_file(building: Path) -> Path:
    """Beside the folder and not in it: who fills a folder may ask that it is empty."""
    return building.with_name(building.name + SECONDS_SUFFIX)


def _spent(building: Path) -> float:
    try:
        return float(_seconds_file(building).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _keep_time(building: Path, spent: float, start: float, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        _seconds_file(building).write_text(f"{spent + time.monotonic() - start:.1f}", encoding="utf-8")
