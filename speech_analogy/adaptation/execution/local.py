"""Doing a plan on this machine: a few processes, the costliest ready stage first.

Without a GPU each has one thread, which makes results independent of how many processes there are, and on small models
it is also the better use of the cores: nobody waits at a barrier. With GPUs each process sees one of them, and the
processes share the cores.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_synth.engines.gpus import gpus_of
from speech_analogy.adaptation.execution.run_stage import run_stage
from speech_analogy.adaptation.plan.estimate import clock, urgencies, wall_clock_of
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.foundation.machine import VISIBLE_GPUS, cores, visible_gpus

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT_CHECK_S = 0.3
BELIEF_S = 120.0
CLEAR_LINE = "\r\x1b[K"


class RunError(SpeechAnalogyError):
    """A run's folder cannot be worked in, or a worker died."""


def default_workers() -> int:
    """One process a GPU; without a GPU one a core."""
    return len(visible_gpus()) or cores()


def speaking_workers(engines: Iterable[str], workers: int | None = None) -> int:
    """Processes that speak, where nothing is said: one a GPU if these engines compute there, else one a core."""
    return workers or len(gpus_of(engines)) or cores()


def worked_by(workers: int) -> str:
    """So many processes in words: "2 cores", or "1 process on 1 GPU"."""
    gpus = len(visible_gpus())
    processes = f"{workers} process{'' if workers == 1 else 'es'}"
    return f"{processes} on {gpus} GPU{'' if gpus == 1 else 's'}" if gpus else f"{workers} cores"


def execute(plan: Plan, *, workers: int | None = None, progress: bool = True) -> None:
    """Do every stage that is not done. Killed and started again, it goes on where it was.

    Raises:
        RunError: another process works in this folder, or a worker died.
        SpeechAnalogyError: what a stage found wrong.
    """
    plan.run.mkdir(parents=True, exist_ok=True)
    with _held(plan.run):
        todo = [stage for stage in plan if not plan.is_done(stage.name)]
        if todo:
            _Execution(plan, todo, workers or default_workers(), progress).run()


class _Execution:
    """The stages that are left, who works on what, and how long it will still take."""

    def __init__(self, plan: Plan, todo: list[Stage], workers: int, progress: bool) -> None:
        self.plan, self.progress = plan, progress
        self.workers = min(workers, len(todo))
        self.waiting = {stage.name: stage for stage in todo}
        self.running: dict[Future[None], Stage] = {}
        self.began: dict[str, float] = {}
        self.urgency = urgencies(todo)
        self.total = len(todo)
        self.estimated = self.taken = BELIEF_S  # as if the estimate had already held for a while

    def run(self) -> None:
        context = multiprocessing.get_context("spawn")
        slots, lock = context.Value("i", 0), context.RLock()
        arguments = (os.getpid(), slots, lock, self.workers, visible_gpus())
        with _one_thread_each(), ProcessPoolExecutor(self.workers, context, _start_worker, arguments) as pool:
            try:
                while self.waiting or self.running:
                    self._submit(pool)
                    done, _ = wait(self.running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._finish(future)
            except BaseException:
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _submit(self, pool: ProcessPoolExecutor) -> None:
        ready = [stage for stage in self.waiting.values() if all(self.plan.is_done(need) for need in stage.needs)]
        for stage in sorted(ready, key=lambda stage: self.urgency[stage.name], reverse=True):
            if len(self.running) >= self.workers:
                return
            del self.waiting[stage.name]
            self.began[stage.name] = time.monotonic()
            job = (self.plan.building(stage.name), self.plan.folder(stage.name), self.plan.inputs(stage.name))
            self.running[pool.submit(run_stage, stage, *job, self.progress)] = stage

    def _finish(self, future: Future[None]) -> None:
        stage = self.running.pop(future)
        try:
            future.result()
        except BrokenProcessPool:
            raise RunError(
                "a worker died", field=stage.name, do="is there enough memory? the same command goes on from here"
            ) from None
        now = time.monotonic()
        seconds = now - self.began[stage.name]
        self.estimated += stage.cost_s
        self.taken += seconds
        pace = self.taken / self.estimated
        left = [*self.running.values(), *self.waiting.values()]
        begun = {other.name: (now - self.began[other.name]) / pace for other in self.running.values()}
        left_s = pace * wall_clock_of(left, self.workers, begun=begun)
        done = self.total - len(self.waiting) - len(self.running)
        if self.progress:
            eta = f", about {clock(left_s)} left" if left else ""
            clear = CLEAR_LINE if sys.stderr.isatty() else ""  # a worker's bar may stand there
            line = f"{clear}[{done}/{self.total}] {stage.name} took {clock(seconds)}{eta}"
            print(line, file=sys.stderr, flush=True)


def _start_worker(parent: int, slots: Any, lock: Any, workers: int, gpus: Sequence[str] = ()) -> None:
    """A worker has one thread, or a GPU and its share of the cores; dies with its parent; has a line of its own."""
    from functools import partialmethod

    with slots.get_lock():
        slot, slots.value = slots.value, slots.value + 1
    if gpus:
        os.environ[VISIBLE_GPUS] = gpus[slot % len(gpus)]  # before torch looks

    import torch
    from tqdm import tqdm

    from speech_analogy.training.memory import bound_kernel_caches, keep_freed_memory

    keep_freed_memory()
    bound_kernel_caches()
    torch.set_num_threads(max(1, cores() // workers) if gpus else 1)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    _be_quiet()
    tqdm.set_lock(lock)
    if sys.stderr.isatty():
        tqdm.__init__ = partialmethod(  # type: ignore[method-assign, assignment]
            tqdm.__init__, position=slot % workers, leave=False
        )


def _be_quiet() -> None:
    """The libraries' own bars and advice would break the progress lines."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Worker processes inherit these; a passive wait leaves the core to whoever has work."""
    wanted = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _held(run: Path) -> Iterator[None]:
    """One process at a time works in a run's folder."""
    with (run / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError("another process works in this run", file=run, do="wait for it, or name another") from None
        yield
