"""What passes between the pool and its processes: the same on both sides, and nothing that is not an answer."""

from __future__ import annotations

import errno
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_synth.channel.chain import ChannelOptions
from data_synth.gates.judge import GateOptions
from data_synth.plan.attempt import GateRow, LedgerRow
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.options import SynthesisOptions
from data_synth.run import pool
from data_synth.run.messages import (
    LENGTH,
    MOST_BYTES,
    Broken,
    EngineProcessError,
    Round,
    Rows,
    answer_message,
    answer_of,
    job_message,
    job_of,
    receive,
    send,
)
from data_synth.run.worker import ClipJob, ClipSettings
from data_synth.store.clip_files import clip_path
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import DataError, SynthesisError

ROOM = {"speed": (0.9, 1.1), "noise": {"snr_db": (5.0, 15.0)}, "band_hz": (300, 3400), "gain_db": -3}
PLANS = tuple(
    ClipPlan(
        f"id-{index}",
        "a “b” \u2028\ud800",
        "a b",
        "d",
        "fake",
        "low",
        "r 1",
        {"n": 1, "x": 1.0, "s": "é"},
        (3, 5),
        True,
        channel,
    )
    for index, channel in enumerate((None, ChannelOptions.model_validate(ROOM)))
)
JOB = ClipJob(
    "fake",
    tuple((plan, 0) for plan in PLANS),
    ClipSettings(Path("/x/y"), GateOptions(language="en", max_edge_silence_s=0.1), "flac", 16_000, True),
)


def row_of(plan: ClipPlan, attempt: int = 0, **values: Any) -> LedgerRow:
    return LedgerRow(
        key=plan.key(attempt), text_id=plan.text_id, text=plan.text, domain="d", engine="fake", voice="low",
        revision="r 1", parameters=plan.parameters, seed=plan.seeds[attempt], attempt=attempt, status="rejected",
        gates={"level": GateRow(value=float("-inf"), maximum=0.1 + 0.2)}, **values,
    )  # fmt: skip


def over_the_wire(message: Any) -> Any:
    stream = io.BytesIO()
    send(stream, message)
    stream.seek(0)
    return receive(stream)


@pytest.fixture
def plain_plans() -> tuple[ClipPlan, ...]:
    """Without halves of characters, which have no digest."""
    return tuple(
        ClipPlan(**{**{name: getattr(plan, name) for name in plan.__slots__}, "text": "a b"}) for plan in PLANS
    )


@pytest.mark.parametrize("gates", [None, GateOptions(), JOB.settings.gates])
def test_a_batch_arrives_as_it_was_sent(gates: GateOptions | None) -> None:
    job = ClipJob("fake", JOB.work, ClipSettings(Path("/x/y"), gates, "opus", 8_000), once=True)
    assert job_of(over_the_wire(job_message(7, job))) == (7, job)
    assert type(job_of(over_the_wire(job_message(7, job)))[1].work[0][0].parameters["x"]) is float


def test_answers_arrive_as_they_were_sent(plain_plans: tuple[ClipPlan, ...]) -> None:
    job = ClipJob("fake", tuple((plan, 0) for plan in plain_plans), JOB.settings)
    first, second = plain_plans
    kept = row_of(first, 1, path=clip_path(first.key(1), "flac"), duration_s=1.1)
    for answer in (Round(4, 2), Rows(4, [row_of(first), kept, row_of(second)])):
        assert answer_of(over_the_wire(answer_message(answer)), {4: job}) == answer


ERRORS = [
    SynthesisError("it is missing", file=Path("/a"), field="f", value=3, do="install it"),
    DataError("odd", value=(1, 2)),
    OSError(errno.ENOSPC, "No space left on device", "/x/y"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_errors_are_what_they_were(error: Exception) -> None:
    answer = answer_of(over_the_wire(answer_message(Broken(1, error))), {1: JOB})
    assert isinstance(answer, Broken)
    assert type(answer.error) is type(error)
    assert str(answer.error).replace("'", "") == str(error).replace("'", "")
    if isinstance(error, OSError):
        assert isinstance(answer.error, OSError)
        assert (answer.error.errno, answer.error.filename) == (errno.ENOSPC, "/x/y")


def test_an_error_of_ours_carries_its_traceback() -> None:
    try:
        raise ZeroDivisionError("here")
    except ZeroDivisionError as error:
        answer = answer_of(over_the_wire(answer_message(Broken(1, error))), {1: JOB})
    assert isinstance(answer, Broken)
    assert isinstance(answer.error, EngineProcessError)
    assert "test_messages.py" in str(answer.error)
    assert "ZeroDivisionError: here" in str(answer.error)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_what_is_no_message_is_refused(tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "ran"))
    for content in (
        bomb,
        LENGTH.pack(len(bomb)) + bomb,
        LENGTH.pack(MOST_BYTES + 1),
        LENGTH.pack(9) + b"{}",
        b"\0",
        LENGTH.pack(100_000) + b"[" * 100_000,
    ):
        with pytest.raises(ValueError, match=r"."):
            receive(io.BytesIO(content))
    with pytest.raises(EOFError):
        receive(io.BytesIO())
    assert not (tmp_path / "ran").exists()


def test_what_answers_nothing_is_refused(plain_plans: tuple[ClipPlan, ...]) -> None:
    first, second = plain_plans
    job = ClipJob("fake", ((first, 0),), JOB.settings)
    good = answer_message(Rows(1, [row_of(first)]))
    outside = answer_message(Rows(1, [row_of(first).model_copy(update={"path": "../../etc/passwd"})]))
    other = answer_message(Rows(1, [row_of(second)]))
    many = answer_message(Rows(1, [row_of(first)] * 3))
    wrong: list[Any] = [
        outside, other, many, {**good, "number": 2}, {**good, "rows": []}, {**good, "rows": [{}]}, {**good, "rows": 3},
        {**good, "kind": "run"}, {"kind": "round", "number": 1, "clips": 10**12}, {**good, "number": [1]},
        {"kind": "round", "number": 1, "clips": "x"}, {"kind": "error", "number": 1},
        {"kind": "error", "number": 1, "type": "os", "parts": {}},
        [], None, 3, "rows", {},
    ]  # fmt: skip
    for message in wrong:
        with pytest.raises(ValueError, match=r"."):
            answer_of(message, {1: job})
    assert answer_of(good, {1: job}) == Rows(1, [row_of(first)])


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("said", ["pickle", "garbage", "another's rows"])
def test_a_process_that_was_taken_over_ends_alone(tmp_path: Path, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It speaks for ever, and not in our language: its clips are lost, said, and its code is not run."""
    mark = tmp_path / "ran"
    content = {"pickle": pickle.dumps(Bomb(mark)), "garbage": b"\xff" * 64}.get(said)
    if content is None:
        text = b'{"kind": "rows", "number": 1, "rows": [{"path": "/etc/passwd"}]}'
        content = LENGTH.pack(len(text)) + text

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **told: Any) -> None:
            hostile = f"import sys, time; sys.stdout.buffer.write({content!r}); sys.stdout.flush(); time.sleep(600)"
            super().__init__([sys.executable, "-S", "-c", hostile], **told)

    monkeypatch.setattr(pool.subprocess, "Popen", Popen)
    monkeypatch.setattr(pool, "ENDS_WITHIN_S", 0.05)
    options = SynthesisOptions.parse({"engines": "fake:low"})
    with pytest.raises(DataError, match="answers that are none"):
        synthesize([Text.of(f"word {index}", "a") for index in range(1)], tmp_path / "out", options, progress=False)
    assert not mark.exists()
