"""What a process of the pool does: take a batch, make it, answer. It ends when whoever started it ends.

Messages are pickled one after the other: `Job`s come in on standard input; out go ("round", clips) when an engine
is about to be asked, ("rows", rows) when a batch is done, ("error", exception) when it cannot be. What engines print
goes to standard error.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import IO, Any

from data_synth.worker import Job, run_job

Message = tuple[str, Any]


def serve() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, jobs), daemon=True).start()

    def tell(message: Message) -> None:
        answers.write(pickle.dumps(message))
        answers.flush()

    while True:
        job = jobs.get()
        try:
            tell(("rows", run_job(job, lambda clips: tell(("round", clips)))))
        except BrokenPipeError:
            os._exit(1)
        except Exception as error:
            tell(("error", error))


def _listen(stream: IO[bytes], jobs: queue.SimpleQueue[Job]) -> None:
    """Take jobs from the stream; when it ends, so does the process, whatever its engine is doing."""
    while True:
        try:
            jobs.put(pickle.load(stream))
        except EOFError:
            os._exit(0)
        except Exception:
            os._exit(1)
