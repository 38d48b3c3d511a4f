"""What a teacher wrote and the decoder's hidden states it had: kept on disk, and matched by a student."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lhotse import CutSet
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from speech_analogy.corpora.audio import load_audio
from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.progress import bar
from speech_analogy.recognisers.protocol import IGNORED_LABEL, SequenceRecogniser
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, Window, padding_of, window_kind, window_seconds
from speech_analogy.training.distilling.options import States

TEACHER_BATCH_SIZE = 8  # utterances


class Lesson(NamedTuple):
    """The teacher's transcripts and hidden states of one batch of utterances."""

    inputs: torch.Tensor  # (batch, tokens) int64
    written: torch.Tensor  # (batch, tokens) bool, false after a text's end
    states: torch.Tensor  # (batch, states, tokens, width) float32


class Lessons:
    """The teacher's transcripts and hidden states: a file an utterance, so that memory does not grow with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, utterance: str) -> Path:
        return self.folder / f"{hashlib.sha256(utterance.encode()).hexdigest()[:32]}.safetensors"

    def write(self, utterance: str, text: str, inputs: torch.Tensor, states: torch.Tensor) -> None:
        """Keep a text, its inputs (tokens,) int64 and states (states, tokens, width) float32."""
        with whole_file(self.path(utterance), error=CheckpointError, one_of_many=True) as building:
            tensors = {"inputs": inputs.contiguous(), "states": states.contiguous()}
            save_file(tensors, building, metadata={"text": text})

    def text(self, utterance: str) -> str:
        """What the teacher wrote."""
        with safe_open(self.path(utterance), "pt") as file:
            return str(file.metadata()["text"])

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
    cuts: CutSet, teacher: SequenceRecogniser, folder: Path, wanted: States, progress: bool, window: Window = "full"
) -> Lessons:
    """Transcribe in the teacher's window and keep the decoder's hidden states; what is kept is not done again."""
    lessons = Lessons(folder)
    kept = {cut.id for cut in cuts if lessons.path(cut.id).is_file()}
    shown = bar(len(cuts), f"teacher ({window_kind(window)})", "utterances", show=progress, done=len(kept))
    with shown, teacher.keeping_encoded() as encoded, torch.inference_mode():  # encoded once, used twice
        for batch in _batches(cuts, window):
            left = [cut for cut in batch if cut.id not in kept]
            if not left:
                continue
            waves = [load_audio(cut, SAMPLING_RATE_HZ) for cut in batch]
            features = teacher.features(waves, seconds_of(batch, window), padding_of(window))
            texts = teacher.decode(features, [cut.duration for cut in batch])
            inputs, targets = teacher.labels(texts)
            states = teacher.decoder_states(encoded[-1], inputs.to(teacher.device), every=wanted == "all").cpu()
            encoded.clear()
            counts = [_tokens(row, text) for row, text in zip(targets, texts, strict=True)]
            for cut, text, row, state, count in zip(batch, texts, inputs, states, counts, strict=True):
                if cut.id not in kept:
                    lessons.write(cut.id, text, row[:count].clone(), state[:, :count].float().clone())
            shown.update(len(left))
    return lessons


def _batches(cuts: CutSet, window: Window) -> Iterator[list[Any]]:
    """The same after a kill: in a trimmed window a batch's longest utterance decides what all of it hear."""
    ordered = list(cuts) if window == "full" else sorted(cuts, key=lambda cut: (cut.duration, cut.id))
    for start in range(0, len(ordered), TEACHER_BATCH_SIZE):
        yield ordered[start : start + TEACHER_BATCH_SIZE]


def seconds_of(cuts: Sequence[Any], window: Window) -> float:
    """Of the window that holds each of a batch."""
    return max(window_seconds(cut.duration, window) for cut in cuts)


def _tokens(targets: torch.Tensor, text: str) -> int:
    """Inputs of a row up to its last learned target: prompt and text; the prompt alone where there is no text."""
    learned = (targets != IGNORED_LABEL).nonzero()
    return int(learned.max() if text else learned.min()) + 1


def lesson_loss(student: SequenceRecogniser, features: torch.Tensor, lesson: Lesson, wanted: States) -> torch.Tensor:
    """Mean squared error of the student's hidden states over the tokens of the texts; () float32."""
    device = student.device
    encoded = student.encoder_states(features.to(device))
    found = student.decoder_states(encoded, lesson.inputs.to(device), every=wanted == "all")
    written = lesson.written.to(device)[:, None, :, None].expand_as(found)
    return F.mse_loss(found.float()[written], lesson.states.to(device)[written])
