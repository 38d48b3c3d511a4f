"""The student's steps: killed and started again, they go on where they were."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import torch
from lhotse import CutSet

from speech_analogy import __version__
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.locks import LOCK_NAME, held
from speech_analogy.foundation.progress import bar
from speech_analogy.foundation.user_files.json_text import parse_json
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.protocol import SequenceRecogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.training.distilling.lessons import Lessons, teach
from speech_analogy.training.distilling.options import DistilOptions
from speech_analogy.training.distilling.steps import Direction, losses, plan_steps
from speech_analogy.training.diverging import require_finite_loss, require_finite_weights
from speech_analogy.training.memory import keep_freed_memory
from speech_analogy.training.optimiser import decay_groups, schedule
from speech_analogy.training.precision import autocast_precision
from speech_analogy.training.publish import publish_tuned, require_new, seen_in
from speech_analogy.training.state import drop_states_after, load_state, save_state

TEACHER_FOLDER = "teacher"  # in the working folder: a file of states an utterance


@dataclass(frozen=True)
class Distilled:
    """A finished distillation: a complete Hugging Face folder with `provenance.json` and `training/`."""

    folder: Path
    steps: int
    utterances: int
    seconds: float
    losses: list[float]
    """Mean of each epoch: squared error a token, state and dimension."""


def distil(
    model: str | Path,
    cuts: str | Path | CutSet,
    out: Path,
    options: DistilOptions,
    direction: Direction,
    *,
    device: str | torch.device,
    progress: bool,
) -> Distilled:
    """Teach a copy of `model` in the student's windows what the model hears in the teacher's.

    Raises:
        CheckpointError: `out` exists, the model cannot be loaded, or has one window alone.
        DataError: the audio cannot be used.
    """
    begun = time.perf_counter()
    require_new(out)
    keep_freed_memory()
    eager, folder = cuts_of(cuts), resolve_weights(str(model))
    content, own = digest(eager), fingerprint(open_checkpoint(folder))
    settings = options.model_dump(mode="json", exclude={"save_every_s"})
    about = {"cuts": content, "base": own, "options": settings}
    student = load_recogniser(folder, language=options.language, device=device)
    if not family_of(student).can_be_shortened:
        raise CheckpointError(
            "must be a model with a full window to shorten, such as a Whisper", file=folder, value=student.model_type
        )
    student = cast("SequenceRecogniser", student)
    hours = round(sum(cut.duration for cut in eager) / 3600, 4)
    learned = {"utterances": len(eager), "hours": hours, "digest": content}
    learned["hyper_parameters"] = {k: v for k, v in settings.items() if k not in ("language", "window")}
    working = out.with_name(f".{out.name}.{direction.verb}")
    with held(working, CheckpointError):
        require_new(out, working)
        _keep_what_is_of(working, about)
        lessons = teach(eager, student, working / TEACHER_FOLDER, options.states, progress, direction.teacher)
        steps, losses = _learn(student, eager, lessons, working, options, direction, progress)
        record = {
            **direction.record(provenance(folder), {**learned, "steps": steps}, own),
            **seen_in(eager, folder, options.language),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "creator": f"speech-analogy {__version__}",
        }
        publish_tuned(student, working, out, record)
    return Distilled(out, steps, len(eager), time.perf_counter() - begun, losses)


def _learn(
    student: SequenceRecogniser,
    cuts: CutSet,
    lessons: Lessons,
    working: Path,
    options: DistilOptions,
    direction: Direction,
    progress: bool,
) -> tuple[int, list[float]]:
    """Match the teacher; returns the number of steps and the mean loss of each epoch."""
    parameters = {name: p for name, p in student.model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(decay_groups(parameters, 0.0), lr=options.learning_rate, fused=True)
    plan = plan_steps(cuts, student, lessons, options, direction)
    log = working / "training" / "log.jsonl"
    log.parent.mkdir(exist_ok=True)
    logged = _logged(log)
    drop_states_after(working, len(logged))
    done = load_state(working, "", parameters, optimiser)
    rows = logged[:done]
    bf16 = autocast_precision(options.precision) == "bf16"
    student.model.train()
    saved = time.monotonic()
    with bar(len(plan), f"student ({direction.verb})", "steps", show=progress, done=done) as shown:
        for loss_of in losses(plan[done:], student, lessons, options.states):
            step = len(rows)
            torch.manual_seed(options.seed * len(plan) + step)  # dropout, where a model has it
            rate = options.learning_rate * schedule(step, len(plan), options.warmup_share)
            for group in optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=bf16):
                loss = loss_of()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters.values(), options.clip_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            require_finite_loss(loss.item(), step + 1, options.learning_rate)
            rows.append({"step": step + 1, "epoch": plan[step].epoch + 1, "loss": loss.item(), "learning_rate": rate})
            shown.note(loss=f"{loss.item():.3f}")
            shown.update()
            if time.monotonic() - saved >= options.save_every_s and len(rows) < len(plan):
                _write_log(log, rows)
                save_state(working, len(rows), "", parameters, optimiser)
                saved = time.monotonic()
    require_finite_weights(student.model, options.learning_rate)
    _write_log(log, rows)
    student.model.eval()
    by_epoch = [[row["loss"] for row in rows if row["epoch"] == epoch + 1] for epoch in range(options.epochs)]
    return len(plan), [sum(epoch) / len(epoch) for epoch in by_epoch]


def _keep_what_is_of(working: Path, about: dict[str, Any]) -> None:
    """Drop from the working folder what was kept of another task."""
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    mark = working / "key"
    if mark.is_file() and mark.read_bytes() == key.encode():
        return
    for left in working.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != LOCK_NAME:
            left.unlink()
    write_whole(mark, key)


def _logged(log: Path) -> list[dict[str, Any]]:
    """The rows of a log as far as they can be read."""
    rows: list[dict[str, Any]] = []
    with suppress(OSError, ValueError, KeyError, TypeError):
        for line in log.read_text(encoding="utf-8").splitlines():
            row = parse_json(line)
            rows.append({**row, "epoch": int(row["epoch"]), "loss": float(row["loss"])})
    return rows


def _write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))
