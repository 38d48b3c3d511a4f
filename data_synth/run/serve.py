"""What a process of the pool does: take batches, make them, answer. It ends when whoever started it ends.

It has two hands: while what the engine spoke is judged and stored, the engine speaks the next batch.

Messages, see `messages`, come in on standard input, and out go a `Round` when the engine is about to be asked, `Rows`
when a batch is done, `Broken` when it cannot be. What engines print goes to standard error.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

from data_synth.engines import Outcome
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.clip_plan import ClipWork
from data_synth.run.messages import Answer, Broken, Round, Rows, answer_message, job_of, receive, send
from data_synth.run.worker import ClipJob, judge_round, speak_round

SWITCH_S = 0.0005  # between threads: the engine must not wait long for the thread that judges


@dataclass
class _Batch:
    """A batch under way: what is to be spoken next, and the rows there are."""

    number: int
    job: ClipJob
    work: ClipWork
    rows: list[LedgerRow] = field(default_factory=list)


class _Server:
    def __init__(self, answers: IO[bytes]) -> None:
        self._answers, self._answering = answers, threading.Lock()
        self.waiting: queue.SimpleQueue[_Batch] = queue.SimpleQueue()

    def speak(self) -> None:
        """Speak what is waiting, for ever; the other hand judges."""
        with ThreadPoolExecutor(1) as other_hand:
            while True:
                batch = self.waiting.get()
                self._answer(Round(batch.number, len(batch.work)))
                try:
                    outcomes = speak_round(batch.job, batch.work)
                except Exception as error:
                    self._answer(Broken(batch.number, error))
                else:
                    other_hand.submit(self._judge, batch, outcomes)

    def _judge(self, batch: _Batch, outcomes: list[Outcome]) -> None:
        try:
            rows, batch.work = judge_round(batch.job, batch.work, outcomes)
        except Exception as error:
            self._answer(Broken(batch.number, error))
            return
        batch.rows += rows
        if batch.work:
            self.waiting.put(batch)
        else:
            self._answer(Rows(batch.number, batch.rows))

    def _answer(self, answer: Answer) -> None:
        message = answer_message(answer)
        try:
            with self._answering:
                send(self._answers, message)
        except BrokenPipeError:
            os._exit(1)


def serve() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    sys.setswitchinterval(SWITCH_S)
    server = _Server(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_listen, args=(sys.stdin.buffer, server), daemon=True).start()
    server.speak()


def _listen(stream: IO[bytes], server: _Server) -> None:
    """Take batches from the stream; when it ends, so does the process, whatever its engine is doing."""
    while True:
        try:
            number, job = job_of(receive(stream))
            server.waiting.put(_Batch(number, job, job.work))
        except EOFError:
            os._exit(0)
        except Exception:
            os._exit(1)
