"""The executor of this machine: a few worker processes.

Without a GPU each has one thread, which makes results independent of how many processes there are, and on small models
it is also the better use of the cores: nobody waits at a barrier. With GPUs each process sees one of them, and the
processes share the cores.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from speech_analogy.adaptation.execution.protocol import Finished, Job, RunError
from speech_analogy.adaptation.execution.run_stage import run_stage
from speech_analogy.errors import ConfigError
from speech_analogy.foundation import progress
from speech_analogy.foundation.machine import VISIBLE_GPUS, cores, visible_gpus

PARENT_CHECK_S = 0.3


def default_workers() -> int:
    """One process for each GPU; without a GPU one for each core."""
    return len(visible_gpus()) or cores()


class LocalExecutor:
    """Worker processes on this machine; see `Executor`."""

    def __init__(self, slots: int | None = None, options: Mapping[str, str] | None = None) -> None:
        if options:
            raise ConfigError("the local executor has no options", field="--executor", value=", ".join(options))
        self.slots = slots or default_workers()
        self.place = _in_words(self.slots)
        self._pool: ProcessPoolExecutor | None = None
        self._stack = ExitStack()
        self._jobs: dict[Future[None], str] = {}

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        arguments = (os.getpid(), context.Value("i", 0), queue, self.slots, visible_gpus())
        with ExitStack() as stack:
            stack.enter_context(progress.receive_from(queue))
            stack.enter_context(_one_thread_each())
            self._pool = stack.enter_context(ProcessPoolExecutor(self.slots, context, start_worker, arguments))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._pool = None

    def submit(self, job: Job) -> None:
        assert self._pool is not None, "an executor is entered before it is given jobs"
        self._jobs[self._pool.submit(run_stage, job)] = job.stage.name

    def wait(self, timeout_s: float) -> list[Finished]:
        done, _ = wait(self._jobs, timeout_s, return_when=FIRST_COMPLETED)
        return [Finished(name, _error_of(future, name)) for future in done for name in [self._jobs.pop(future)]]

    def cancel(self) -> None:
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._jobs.clear()


def _in_words(workers: int) -> str:
    """So many processes: "2 cores", or "1 process on 1 GPU"."""
    gpus = len(visible_gpus())
    if not gpus:
        return f"{workers} core{'' if workers == 1 else 's'}"
    return f"{workers} process{'' if workers == 1 else 'es'} on {gpus} GPU{'' if gpus == 1 else 's'}"


def _error_of(future: Future[None], name: str) -> BaseException | None:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        do = "is there enough memory? the same command goes on from here"
        return RunError("a worker died", field=name, do=do)
    return error


def start_worker(parent: int, slots: Any, queue: Any, workers: int, gpus: Sequence[str] = ()) -> None:
    """A worker has one thread, or a GPU and its share of the cores; it dies with its parent, who shows its progress."""
    with slots.get_lock():
        slot, slots.value = slots.value, slots.value + 1
    if gpus:
        os.environ[VISIBLE_GPUS] = gpus[slot % len(gpus)]  # before torch looks

    import torch

    from speech_analogy.training.memory import bound_kernel_caches, keep_freed_memory

    keep_freed_memory()
    bound_kernel_caches()
    torch.set_num_threads(max(1, cores() // workers) if gpus else 1)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    _be_quiet()
    progress.send_to(queue)


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
