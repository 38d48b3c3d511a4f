"""Distil a model in full windows into one for trimmed windows, from audio alone: no labels, a few minutes.

An untouched Whisper repeats itself in trimmed windows. Here a copy of it (the student) learns, in trimmed windows,
the decoder's hidden states that the model itself (the teacher, frozen) has in full 30 s windows, while both are given
the transcript that the teacher wrote. After FUTO's audio-context fine-tuning, github.com/futo-org/whisper-acft; there
the transcripts are the corpus's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lhotse import CutSet
from pydantic import Field, field_validator
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from speech_analogy import __version__
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import whole_file, write_whole
from speech_analogy.foundation.options import Options
from speech_analogy.foundation.progress import bar
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.devices import AUTO
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.protocol import IGNORED_LABEL, SequenceRecogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import (
    FULL_WINDOW_S,
    SAMPLING_RATE_HZ,
    Window,
    padding_of,
    window_record,
    window_seconds,
)
from speech_analogy.training.batching import epoch_batches
from speech_analogy.training.memory import keep_freed_memory
from speech_analogy.training.optimiser import decay_groups, schedule
from speech_analogy.training.precision import autocast_precision
from speech_analogy.training.publish import publish_tuned, seen_in
from speech_analogy.training.state import load_state, save_state

TEACHER_BATCH_SIZE = 8  # utterances in full windows
TEACHER_FOLDER = "teacher"  # in the working folder: a file of states an utterance


class ShortenOptions(Options):
    """How a model is made to work in trimmed windows. An unknown key is an error."""

    learning_rate: float = Field(default=1e-5, gt=0, description="peak of AdamW's rate")
    epochs: int = Field(default=4, ge=1)
    batch_size: int = Field(default=8, ge=1, description="utterances a step")
    warmup_share: float = Field(default=0.1, ge=0, le=1, description="share of the steps that warm up linearly")
    clip_norm: float = Field(default=1.0, gt=0, description="L2 norm that gradients are clipped to")
    states: Literal["last", "all"] = Field(
        default="all", description="the decoder's hidden states that are matched: after its last layer, or after each"
    )
    window: Window = Field(default="trimmed", description="the student's")
    precision: Literal["auto", "bf16", "fp32"] = Field(default="auto", description="of the student's autocast")
    seed: int = 0
    language: str = "en"
    save_every_s: float = Field(default=60.0, ge=0, description="seconds between states that a killed run resumes from")

    @field_validator("window")
    @classmethod
    def _is_trimmed(cls, window: Window) -> Window:
        if window == "full":
            raise ValueError("must be trimmed: the full window is the teacher's")
        return window


@dataclass(frozen=True)
class Shortened:
    """A finished distillation: a complete Hugging Face folder with `provenance.json` and `training/`."""

    folder: Path
    steps: int
    utterances: int
    seconds: float
    losses: list[float]
    """Mean of each epoch: squared error a token, state and dimension."""


@dataclass(frozen=True)
class Lesson:
    """The teacher's transcripts and hidden states of one batch of utterances."""

    inputs: torch.Tensor  # (batch, tokens) int64
    written: torch.Tensor  # (batch, tokens) bool, false after a text's end
    states: torch.Tensor  # (batch, states, tokens, width) float32


def shorten(
    model: str | Path,
    cuts: str | Path | CutSet,
    out: str | Path,
    options: ShortenOptions | None = None,
    *,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> Shortened:
    """Distil `model` in full windows into a copy of it in trimmed windows; texts of the cuts are not looked at.

    Killed and started again, it goes on where it was: the teacher's states and the student's are kept in a folder
    beside `out` until it is finished.

    Args:
        model: weights by name (see `resolve_weights`) that work well in full windows.
        cuts: cuts, their path, or a folder of audio files; each at most 30 s, of any content.
        out: the folder to make.
        device: see `find_device`.

    Raises:
        CheckpointError: `out` exists, the model cannot be loaded, or has no full window to shorten.
        DataError: the audio cannot be used.
    """
    options, out, begun = options or ShortenOptions(), Path(out), time.perf_counter()
    if out.exists():
        raise CheckpointError("the output folder must not exist", file=out, do="remove it, or name another")
    keep_freed_memory()
    eager, folder = cuts_of(cuts), resolve_weights(str(model))
    about = {"cuts": digest(eager), "base": fingerprint(open_checkpoint(folder))}
    working = _working_folder(out, {**about, "options": options.model_dump(mode="json", exclude={"save_every_s"})})
    student = load_recogniser(folder, language=options.language, device=device)
    if not family_of(student).can_be_shortened:
        raise CheckpointError(
            "must be a model with a full window to shorten, such as a Whisper", file=folder, value=student.model_type
        )
    student = cast("SequenceRecogniser", student)
    lessons = teach(eager, student, working / TEACHER_FOLDER, options.states, progress)
    steps, losses = _learn(student, eager, lessons, working, options, progress)
    record = {
        "schema": 1,
        "base": provenance(folder).get("base", str(model)),
        "base_fingerprint": about["base"],
        "window": window_record(options.window),
        "language": options.language,
        "shortened": {
            "utterances": len(eager),
            "hours": round(sum(cut.duration for cut in eager) / 3600, 4),
            "digest": about["cuts"],
        },
        **seen_in(eager, folder, options.language),
        "hyper_parameters": options.model_dump(mode="json", exclude={"save_every_s", "language", "window"}),
        "steps": steps,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "creator": f"speech-analogy {__version__}",
    }
    publish_tuned(student, working, out, record)
    return Shortened(out, steps, len(eager), time.perf_counter() - begun, losses)


class Lessons:
    """The teacher's transcripts and hidden states: a file an utterance, so that memory does not grow with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, utterance: str) -> Path:
        return self.folder / f"{hashlib.sha256(utterance.encode()).hexdigest()[:32]}.safetensors"

    def write(self, utterance: str, inputs: torch.Tensor, states: torch.Tensor) -> None:
        """Keep inputs (tokens,) int64 and states (states, tokens, width) float32."""
        with whole_file(self.path(utterance), error=CheckpointError) as building:
            save_file({"inputs": inputs.contiguous(), "states": states.contiguous()}, building)

    def read(self, utterances: Sequence[str]) -> Lesson:
        """A batch of them, padded at the end."""
        inputs, states = [], []
        for utterance in utterances:
            with safe_open(self.path(utterance), "pt") as file:
                inputs.append(file.get_tensor("inputs"))
                states.append(file.get_tensor("states").transpose(0, 1))  # (tokens, states, width)
        pad = torch.nn.utils.rnn.pad_sequence
        tokens = pad(inputs, batch_first=True, padding_value=IGNORED_LABEL)
        return Lesson(tokens.clamp(min=0), tokens >= 0, pad(states, batch_first=True).transpose(1, 2))


def teach(
    cuts: CutSet, teacher: SequenceRecogniser, folder: Path, wanted: Literal["last", "all"], progress: bool
) -> Lessons:
    """Transcribe in full windows and keep the decoder's hidden states; what is kept already is not done again."""
    lessons = Lessons(folder)
    left = [cut for cut in cuts if not lessons.path(cut.id).is_file()]
    shown = bar(len(left), "teacher (full)", "utterances", show=progress)
    with shown, teacher.keeping_encoded() as encoded, torch.inference_mode():  # encoded once, used twice
        for start in range(0, len(left), TEACHER_BATCH_SIZE):
            batch = left[start : start + TEACHER_BATCH_SIZE]
            waves = [load_audio(cut, SAMPLING_RATE_HZ) for cut in batch]
            texts = teacher.decode(teacher.features(waves, FULL_WINDOW_S), [cut.duration for cut in batch])
            inputs, targets = teacher.labels(texts)
            states = teacher.decoder_states(encoded[-1], inputs.to(teacher.device), every=wanted == "all").cpu()
            encoded.clear()
            counts = [_tokens(row, text) for row, text in zip(targets, texts, strict=True)]
            for cut, row, state, count in zip(batch, inputs, states, counts, strict=True):
                lessons.write(cut.id, row[:count].clone(), state[:, :count].float().clone())
            shown.update(len(batch))
    return lessons


def _tokens(targets: torch.Tensor, text: str) -> int:
    """Inputs of a row up to its last learned target: prompt and text; the prompt alone where there is no text."""
    learned = (targets != IGNORED_LABEL).nonzero()
    return int(learned.max() if text else learned.min()) + 1


def _learn(
    student: SequenceRecogniser, cuts: CutSet, lessons: Lessons, working: Path, options: ShortenOptions, progress: bool
) -> tuple[int, list[float]]:
    """Match the teacher; returns the number of steps and the mean loss of each epoch."""
    parameters = {name: p for name, p in student.model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(decay_groups(parameters, 0.0), lr=options.learning_rate, fused=True)
    epochs = [
        epoch_batches(cuts, batch_size=options.batch_size, seed=options.seed, epoch=epoch)
        for epoch in range(options.epochs)
    ]
    plan = [(epoch, batch) for epoch, batches in enumerate(epochs) for batch in batches]
    log = working / "training" / "log.jsonl"
    log.parent.mkdir(exist_ok=True)
    done = load_state(working, "", parameters, optimiser)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()[:done]] if done else []
    bf16 = autocast_precision(options.precision) == "bf16"
    student.model.train()
    saved = time.monotonic()
    with bar(len(plan), "student (trimmed)", "steps", show=progress, done=done) as shown:
        for features, lesson in _prefetched([batch for _, batch in plan[done:]], student, lessons, options.window):
            step = len(rows)
            torch.manual_seed(options.seed * len(plan) + step)  # dropout, where a model has it
            rate = options.learning_rate * schedule(step, len(plan), options.warmup_share)
            for group in optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=bf16):
                loss = lesson_loss(student, features, lesson, options.states)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters.values(), options.clip_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            rows.append({"step": step + 1, "epoch": plan[step][0] + 1, "loss": loss.item(), "learning_rate": rate})
            shown.note(loss=f"{loss.item():.3f}")
            shown.update()
            if time.monotonic() - saved >= options.save_every_s and len(rows) < len(plan):
                _write_log(log, rows)
                save_state(working, len(rows), "", parameters, optimiser)
                saved = time.monotonic()
    _write_log(log, rows)
    student.model.eval()
    by_epoch = [[row["loss"] for row in rows if row["epoch"] == epoch + 1] for epoch in range(options.epochs)]
    return len(plan), [sum(losses) / len(losses) for losses in by_epoch]


def lesson_loss(
    student: SequenceRecogniser, features: torch.Tensor, lesson: Lesson, wanted: Literal["last", "all"]
) -> torch.Tensor:
    """Mean squared error of the student's hidden states over the tokens of the texts; () float32."""
    device = student.device
    encoded = student.encoder_states(features.to(device))
    found = student.decoder_states(encoded, lesson.inputs.to(device), every=wanted == "all")
    written = lesson.written.to(device)[:, None, :, None].expand_as(found)
    return F.mse_loss(found.float()[written], lesson.states.to(device)[written])


def _prefetched(
    batches: Sequence[list[Any]], student: SequenceRecogniser, lessons: Lessons, window: Window
) -> Iterator[tuple[torch.Tensor, Lesson]]:
    """Features (batch, mels, frames) and lessons, the next batch prepared while one is trained on."""

    def make(batch: list[Any]) -> tuple[torch.Tensor, Lesson]:
        waves = [load_audio(cut, SAMPLING_RATE_HZ) for cut in batch]
        seconds = max(window_seconds(cut.duration, window) for cut in batch)
        return student.features(waves, seconds, padding_of(window)), lessons.read([cut.id for cut in batch])

    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = None
        for batch in batches:
            ready, waiting = waiting, pool.submit(make, batch)
            if ready is not None:
                yield ready.result()
        if waiting is not None:
            yield waiting.result()


def _working_folder(out: Path, about: dict[str, Any]) -> Path:
    """Where what is under way is kept; what was kept of another task is dropped."""
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    folder = out.with_name(f".{out.name}.shortening")
    mark = folder / "key"
    if not mark.is_file() or mark.read_text(encoding="utf-8") != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_whole(mark, key)
    return folder


def _write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))
