"""Processes that engines run in: one that crashes or hangs costs its clip an attempt, and never the run.

Batches whose process died, or gave no answer in time, are taken apart: their clips are asked for one by one, each
alone in its process, and the one that does it again is recorded in the ledger as any other failure. The other clips
lose nothing but time.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from data_synth.engines import Failure, load_engine
from data_synth.plan.attempt import LedgerRow
from data_synth.run.messages import Answer, Broken, Round, answer_of, job_message, receive, send
from data_synth.run.worker import ClipJob, make_row, run_job
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.machine import VISIBLE_GPUS

PATIENCE_S = 120.0
"""How long one clip may take where neither the options nor the engine (`patience_s`) say; loading included."""
ENDS_WITHIN_S = 5.0  # after it has closed its pipe
JOBS_AHEAD = 4  # a process: one is judged, one spoken, and none waits for the parent
LOST_IN_A_ROW = 12
"""Processes lost one after the other, without one batch done, after which an engine is said to be broken."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from data_synth.run.serve import serve; serve()"

Finished = tuple[ClipJob, list[LedgerRow]]


@dataclass(frozen=True)
class PoolOptions:
    """How engines are run; nothing here changes what comes out.

    Args:
        workers: processes.
        isolated: run engines in processes of their own even where there is one; a single worker may else be
            this process.
        timeout_s: how long one clip may take; None: the engine's `patience_s`, or `PATIENCE_S`.
        gpus: each process sees one of them; none: all that there are.
    """

    workers: int = 1
    isolated: bool = True
    timeout_s: float | None = None
    gpus: tuple[str, ...] = ()

    def patience_s(self, engine: str) -> float:
        """Seconds that one clip of an engine may take."""
        return self.timeout_s or float(getattr(load_engine(engine), "patience_s", PATIENCE_S))


def run_jobs(jobs: Iterable[ClipJob], options: PoolOptions) -> Iterator[Finished]:
    """Finished batches as they come, in any order. A clip that ended its process may come in a batch of its own.

    Raises:
        SynthesisError: an engine cannot be loaded, or ends every process it is given.
        OSError: a clip cannot be written.
    """
    if options.workers == 1 and not options.isolated:
        yield from ((job, run_job(job)) for job in jobs)
        return
    pool = WorkerPool(jobs, options)
    try:
        yield from pool.run()
    finally:
        pool.end()


@dataclass
class WorkerProcess:
    """One process, the batches it was given by number, those it has begun, and when it must have gone on."""

    popen: subprocess.Popen[bytes]
    gpu: str | None = None
    jobs: dict[int, ClipJob] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    due: float | None = None

    @property
    def is_alone_with_one(self) -> bool:
        """Whether it has a clip that nothing else may be made beside, to know who ends the process."""
        return any(job.once for job in self.jobs.values())


class WorkerPool:
    def __init__(self, jobs: Iterable[ClipJob], options: PoolOptions) -> None:
        self._jobs, self._options = iter(jobs), options
        self._again: deque[ClipJob] = deque()  # single clips of batches that were lost
        self._processes: list[WorkerProcess] = []
        self._answers: queue.SimpleQueue[tuple[WorkerProcess, Any]] = queue.SimpleQueue()
        self._lost_in_a_row = 0
        self._given = 0

    def run(self) -> Iterator[Finished]:
        self._feed()
        while any(process.jobs for process in self._processes):
            try:
                process, message = self._answers.get(timeout=self._next_due_s())
            except queue.Empty:
                yield from self._end_late_ones()
            else:
                yield from self.take(process, message)
            self._feed()

    def end(self) -> None:
        """End every process, at once."""
        for process in self._processes:
            _end(process)

    def _feed(self) -> None:
        """Keep every process supplied; start one where there is work and room for it."""
        for depth in range(1, JOBS_AHEAD + 1):
            for process in self._processes:
                while len(process.jobs) < depth and not process.is_alone_with_one:
                    job = self._next_job(idle=not process.jobs)
                    if job is None:
                        break
                    self.give(process, job)
            while len(self._processes) < self._options.workers and (job := self._next_job(idle=True)) is not None:
                self.give(self.start(), job)

    def _next_job(self, idle: bool) -> ClipJob | None:
        """The next batch for a process that is idle, or not: then not one that must be alone."""
        if not self._again:
            return next(self._jobs, None)
        return self._again.popleft() if idle or not self._again[0].once else None

    def start(self) -> WorkerProcess:
        command = [sys.executable, "-c", _START, json.dumps(sys.path)]
        gpu = self._idlest_gpu()
        environment = os.environ | ({} if gpu is None else {VISIBLE_GPUS: gpu})
        popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        process = WorkerProcess(popen, gpu)
        self._processes.append(process)
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _idlest_gpu(self) -> str | None:
        taken = [process.gpu for process in self._processes]
        return min(self._options.gpus, key=taken.count, default=None)

    def _listen(self, process: WorkerProcess) -> None:
        assert process.popen.stdout is not None
        with process.popen.stdout as stream, contextlib.suppress(Exception):  # its end, perhaps within a message
            while True:
                self._answers.put((process, receive(stream)))
        self._answers.put((process, None))

    def give(self, process: WorkerProcess, job: ClipJob) -> None:
        assert process.popen.stdin is not None
        if not process.jobs:
            process.due = self._due(job.engine, len(job.work))
        self._given += 1
        process.jobs[self._given] = job
        with contextlib.suppress(OSError):  # its listener reports a process that has ended
            send(process.popen.stdin, job_message(self._given, job))

    def take(self, process: WorkerProcess, message: Any) -> Iterator[Finished]:
        if process not in self._processes:
            return  # what a process said before it was ended
        answer = _read(process, message)
        if answer is None:
            yield from self._lose(process, _how_it_ended(process))
            return
        if isinstance(answer, Broken):
            raise answer.error
        number = answer.number
        if isinstance(answer, Round):
            process.begun.add(number)
            process.due = self._due(process.jobs[number].engine, answer.clips)
            return
        self._lost_in_a_row = 0
        job = process.jobs.pop(number)
        process.begun.discard(number)
        if not process.jobs:
            process.due = None
        elif not process.begun:
            following = next(iter(process.jobs.values()))
            process.due = self._due(following.engine, len(following.work))
        yield from self._go_on(job, answer.rows[-1]) if job.once else [(job, answer.rows)]

    def _next_due_s(self) -> float | None:
        due = [process.due for process in self._processes if process.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _end_late_ones(self) -> Iterator[Finished]:
        now = time.monotonic()
        for process in [process for process in self._processes if process.due is not None and process.due <= now]:
            _end(process)
            patience = self._options.patience_s(next(iter(process.jobs.values())).engine)
            yield from self._lose(process, f"no answer within {patience:g} s; its process was ended")

    def _lose(self, process: WorkerProcess, cause: str) -> Iterator[Finished]:
        """A process is gone: what it had begun is suspect, or what it was to begin with; the rest is not."""
        self._processes.remove(process)
        _end(process)
        if not process.jobs:
            return
        begun = process.begun or {min(process.jobs)}
        suspects = [job for number, job in process.jobs.items() if number in begun]
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= LOST_IN_A_ROW:
            rule = f"{LOST_IN_A_ROW} processes of this engine were lost one after the other: {cause}"
            raise SynthesisError(rule, field=suspects[0].engine, do="fix it and start again; finished clips are kept")
        self._again.extend(job for number, job in process.jobs.items() if number not in begun)
        for job in suspects:
            if job.once:  # it was alone
                [(plan, attempt)] = job.work
                yield from self._go_on(job, make_row(plan, attempt, Failure(cause), job.settings))
            else:
                self._again.extend(replace(job, work=(item,), once=True) for item in job.work)

    def _go_on(self, job: ClipJob, row: LedgerRow) -> Iterator[Finished]:
        """One attempt at one clip is done; the next one, if there is to be one, is put in line."""
        [(plan, _)] = job.work
        following = plan.after(row)
        if following is not None:
            self._again.append(replace(job, work=((plan, following),)))
        yield (job if following is None else replace(job, work=())), [row]

    def _due(self, engine: str, clips: int) -> float:
        return time.monotonic() + self._options.patience_s(engine) * clips


def _read(process: WorkerProcess, message: Any) -> Answer | None:
    """What a process says; None where it has ended, or says what answers nothing that it was asked."""
    try:
        return None if message is None else answer_of(message, process.jobs)
    except ValueError:
        return None


def _how_it_ended(process: WorkerProcess) -> str:
    """Why a process ended, in words; one that goes on, but not in our language, is ended."""
    try:
        return _cause(process.popen.wait(ENDS_WITHIN_S))
    except subprocess.TimeoutExpired:
        _end(process)
        return "its process gave answers that are none; it was ended"


def _cause(status: int) -> str:
    """Why a process ended, in words."""
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        return f"its process was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"its process was ended by signal {-status}"


def _end(process: WorkerProcess) -> None:
    process.popen.kill()
    process.popen.wait()
    assert process.popen.stdin is not None
    with contextlib.suppress(OSError):  # what was not yet written goes nowhere
        process.popen.stdin.close()
