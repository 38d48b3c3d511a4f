"""What passes between the pool and its processes: JSON with its length before it, checked on arrival, never pickled.

A process runs engines and codecs on whatever they are given; what it answers is data, however it came to be.
"""

from __future__ import annotations

import json
import struct
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from data_synth.channel.chain import ChannelOptions
from data_synth.gates.judge import GateOptions
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.clip_plan import ClipPlan
from data_synth.run.worker import ClipJob, ClipSettings
from data_synth.store.clip_files import clip_path
from speech_analogy import errors
from speech_analogy.errors import SpeechAnalogyError

LENGTH = struct.Struct("<I")
MOST_BYTES = 256_000_000  # of a message
MOST_CLIPS = 1_000_000  # of a batch


@dataclass(frozen=True)
class Round:
    """The engine is about to be asked for so many clips of a batch."""

    number: int
    clips: int


@dataclass(frozen=True)
class Rows:
    """A batch is done."""

    number: int
    rows: list[LedgerRow]


@dataclass(frozen=True)
class Broken:
    """A batch cannot be made, for a reason that ends the run."""

    number: int
    error: Exception


Answer = Round | Rows | Broken


class EngineProcessError(RuntimeError):
    """An error in a process of the pool that is a fault of the program's; its traceback is in the text."""


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message, and see it off."""
    content = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message.

    Raises:
        EOFError: there is none.
        ValueError: it is cut off, of an absurd length, or no JSON.
    """
    head = stream.read(LENGTH.size)
    if not head:
        raise EOFError
    if len(head) < LENGTH.size:
        raise ValueError("cut off")
    [length] = LENGTH.unpack(head)
    if length > MOST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    content = stream.read(length)
    if len(content) < length:
        raise ValueError("cut off")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def job_message(number: int, job: ClipJob) -> dict[str, Any]:
    """A batch for a process."""
    settings = job.settings
    return {
        "number": number,
        "engine": job.engine,
        "once": job.once,
        "work": [[_plan_message(plan), attempt] for plan, attempt in job.work],
        "settings": {
            "out": str(settings.out),
            "gates": None if settings.gates is None else settings.gates.model_dump(mode="json"),
            "storage": settings.storage,
            "sampling_rate": settings.sampling_rate,
            "keep_rejected": settings.keep_rejected,
        },
    }


def job_of(message: Any) -> tuple[int, ClipJob]:
    """The batch that a message describes."""
    settings = dict(message["settings"])
    gates = settings.pop("gates")
    parsed = None if gates is None else GateOptions.model_validate(gates)
    made = ClipSettings(**{**settings, "out": Path(settings["out"]), "gates": parsed})
    work = tuple((_plan_of(plan), attempt) for plan, attempt in message["work"])
    return message["number"], ClipJob(message["engine"], work, made, message["once"])


def _plan_message(plan: ClipPlan) -> dict[str, Any]:
    channel = None if plan.channel is None else plan.channel.model_dump(mode="json")
    return {**asdict(plan), "channel": channel}


def _plan_of(message: dict[str, Any]) -> ClipPlan:
    channel = message["channel"]
    parsed = None if channel is None else ChannelOptions.model_validate(channel)
    return ClipPlan(**{**message, "seeds": tuple(message["seeds"]), "channel": parsed})


def answer_message(answer: Answer) -> dict[str, Any]:
    """What a process says."""
    match answer:
        case Round():
            return {"kind": "round", "number": answer.number, "clips": answer.clips}
        case Rows():
            return {"kind": "rows", "number": answer.number, "rows": [row.model_dump() for row in answer.rows]}
        case Broken():
            return {"kind": "error", "number": answer.number, **_error_message(answer.error)}


def answer_of(message: Any, jobs: dict[int, ClipJob]) -> Answer:
    """What a process says about the batches that it was given.

    Raises:
        ValueError: it is no answer to any of them.
    """
    try:
        kind, number = message["kind"], message["number"]
        job = jobs[number]
        if kind == "round" and isinstance(message["clips"], int) and 0 <= message["clips"] <= MOST_CLIPS:
            return Round(number, message["clips"])
        if kind == "rows":
            return Rows(number, _rows_of(message["rows"], job))
        if kind == "error":
            return Broken(number, _error_of(message))
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"an answer that is none: {error}") from None
    raise ValueError("an answer that is none")


def _rows_of(found: Any, job: ClipJob) -> list[LedgerRow]:
    """Rows of this batch's clips alone, that name the files these clips have and no others."""
    rows = [LedgerRow.model_validate(row) for row in found]
    if not rows or len(rows) > sum(len(plan.seeds) for plan, _ in job.work):
        raise ValueError(f"{len(rows)} rows")
    for row in rows:
        own = [plan for plan, _ in job.work if plan.text_id == row.text_id and 0 <= row.attempt < len(plan.seeds)]
        if not any(plan.key(row.attempt) == row.key for plan in own):
            raise ValueError("a row of another clip")
        if row.path not in (None, clip_path(row.key, job.settings.storage)):
            raise ValueError("a file of another clip")
    return rows


def _error_message(error: Exception) -> dict[str, Any]:
    if isinstance(error, SpeechAnalogyError):
        value = error.value if isinstance(error.value, str | int | float | bool | None) else str(error.value)
        file = None if error.file is None else str(error.file)
        parts = {"rule": error.rule, "file": file, "field": error.field, "value": value, "do": error.do}
        return {"type": type(error).__name__, "parts": parts}
    if isinstance(error, OSError) and error.errno is not None:
        file = error.filename if isinstance(error.filename, str | None) else str(error.filename)
        return {"type": "OSError", "parts": {"errno": error.errno, "reason": error.strerror, "file": file}}
    return {"type": "", "parts": {"text": "".join(traceback.format_exception(error))}}


def _error_of(message: Any) -> Exception:
    name, parts = message["type"], message["parts"]
    if name == "OSError":
        return OSError(int(parts["errno"]), str(parts["reason"]), parts["file"] and str(parts["file"]))
    kind = getattr(errors, name, None) if isinstance(name, str) and name else None
    if isinstance(kind, type) and issubclass(kind, SpeechAnalogyError):
        words = {key: None if parts[key] is None else str(parts[key]) for key in ("file", "field", "do")}
        return kind(str(parts["rule"]), value=parts["value"], **words)
    return EngineProcessError(str(parts["text"]))
