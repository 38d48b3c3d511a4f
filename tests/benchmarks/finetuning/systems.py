"""The systems that speed.py compares: each fine-tunes the same base on the same batches, in a process of its own.

The rival is the recipe of transformers' example `run_speech_recognition_seq2seq.py` with the options that its README
gives for Whisper on one device: features of 30 s made by a map beforehand, kept on disk and mapped into memory (as
`datasets` does); labels padded by the tokenizer, masked by its attention mask, the decoder's start token stripped;
Seq2SeqTrainer, fused AdamW, linear warm-up and decay, gradient checkpointing, fp16, no dataloader workers (neither the
script nor its README asks for any). It takes our batches in our order, our learning rate and our warm-up; weight decay
(0) is its own. Rows without checkpointing, in bf16 and in fp32, show what its best setting would be.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

OURS = "ours"
ENGLISH = {"language": "english", "task": "transcribe"}


@dataclass(frozen=True)
class Task:
    """What a child is told; paths as strings, so that it travels as JSON."""

    system: str
    folder: str  # of the base
    cuts: str  # to learn from, once
    out: str  # the model's folder
    batch: int
    learning_rate: float
    threads: int
    workers: int = 0  # of the rival's dataloader


@dataclass(frozen=True)
class Trained:
    """What it took: seconds of the loop, and of features where they were made beforehand."""

    loop_s: float
    features_s: float
    steps: int
    utterances: int
    loss: float
    """Of the last step that was logged."""


def ours(**changed: Any) -> Callable[[Task], Trained]:
    """This project's `finetune`; what is not `changed` is at its default. Audio and features are its loop's work."""

    def train(task: Task) -> Trained:
        from speech_analogy.training import finetune as room
        from speech_analogy.training.options import FinetuneOptions

        spent: list[float] = []
        loop = room._Run.train

        def timed(self: Any) -> float:
            begin = time.perf_counter()
            loss = loop(self)
            spent.append(time.perf_counter() - begin)
            return loss

        given = {"epochs": 1, "batch_size": task.batch, "learning_rate": task.learning_rate, **changed}
        options = FinetuneOptions.parse(given)
        with mock.patch.object(room._Run, "train", timed):
            done = room.finetune(task.cuts, task.folder, task.out, options, progress=False)
        return Trained(sum(spent), 0.0, done.steps, done.utterances, done.loss)

    return train


def trainer(**options: Any) -> Callable[[Task], Trained]:
    """Seq2SeqTrainer; `options` are those of Seq2SeqTrainingArguments."""

    def train(task: Task) -> Trained:
        import torch
        from transformers import (
            Seq2SeqTrainer,
            Seq2SeqTrainingArguments,
            TrainerCallback,
            WhisperForConditionalGeneration,
            WhisperProcessor,
            set_seed,
        )

        from speech_analogy.corpora.read import read_cuts
        from speech_analogy.training.batching import epoch_batches
        from speech_analogy.training.options import FinetuneOptions

        cuts = read_cuts(task.cuts)
        rows = {cut.id: row for row, cut in enumerate(cuts)}
        plan = epoch_batches(cuts, batch_size=task.batch, seed=FinetuneOptions().seed, epoch=0)
        batches = [[rows[cut.id] for cut in batch] for batch in plan]
        set_seed(42)  # the example's
        processor = WhisperProcessor.from_pretrained(task.folder)
        model = WhisperForConditionalGeneration.from_pretrained(task.folder, dtype=torch.float32)
        if processor.tokenizer.pad_token is None:  # the published folders name this one
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        if getattr(model.generation_config, "is_multilingual", False):
            processor.tokenizer.set_prefix_tokens(**ENGLISH)

        class Clock(TrainerCallback):  # type: ignore[misc]
            begin = end = 0.0

            def on_train_begin(self, *given: Any, **named: Any) -> None:
                self.begin = time.perf_counter()

            def on_train_end(self, *given: Any, **named: Any) -> None:
                self.end = time.perf_counter()

        class InOurOrder(Seq2SeqTrainer):  # type: ignore[misc]
            def get_train_dataloader(self) -> Any:
                return torch.utils.data.DataLoader(
                    self.train_dataset,
                    batch_sampler=batches,
                    collate_fn=self.data_collator,
                    num_workers=task.workers,
                )

        clock = Clock()
        with tempfile.TemporaryDirectory() as scratch:
            begin = time.perf_counter()
            dataset = _Mapped(cuts, processor, Path(scratch) / "features.npy")
            features_s = time.perf_counter() - begin
            arguments = Seq2SeqTrainingArguments(
                output_dir=scratch,
                per_device_train_batch_size=task.batch,
                learning_rate=task.learning_rate,
                warmup_steps=round(FinetuneOptions().warmup_share * len(batches)),
                max_steps=len(batches),
                logging_steps=25,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
                **options,
            )
            start = model.config.decoder_start_token_id
            run = InOurOrder(
                model=model,
                args=arguments,
                train_dataset=dataset,
                data_collator=lambda rows: _collate(rows, processor, start),
                processing_class=processor.feature_extractor,
                callbacks=[clock],
            )
            done = run.train()
        model.save_pretrained(task.out)
        processor.save_pretrained(task.out)
        return Trained(clock.end - clock.begin, features_s, done.global_step, len(cuts), done.training_loss)

    return train


class _Mapped:
    """Utterances with their features of 30 s in a file that is mapped into memory, and their label ids."""

    def __init__(self, cuts: Any, processor: Any, file: Path) -> None:
        from speech_analogy.corpora.audio import load_audio
        from speech_analogy.corpora.cuts import text_of

        extractor = processor.feature_extractor
        shape = (len(cuts), extractor.feature_size, extractor.nb_max_frames)
        made = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
        for row, cut in enumerate(cuts):
            heard = extractor(load_audio(cut), sampling_rate=extractor.sampling_rate)
            made[row] = heard.input_features[0]
        made.flush()
        del made
        self.features = np.load(file, mmap_mode="r")
        self.labels = [processor.tokenizer(text_of(cut).lower()).input_ids for cut in cuts]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_features": np.array(self.features[row]), "labels": self.labels[row]}


def _collate(rows: list[dict[str, Any]], processor: Any, start: int) -> Any:
    """Features stacked; labels padded, -100 behind their end, without the token that the model puts in front itself."""
    features = [{"input_features": row["input_features"]} for row in rows]
    batch = processor.feature_extractor.pad(features, return_tensors="pt")
    told = processor.tokenizer.pad([{"input_ids": row["labels"]} for row in rows], return_tensors="pt")
    labels = told["input_ids"].masked_fill(told["attention_mask"] != 1, -100)
    batch["labels"] = labels[:, 1:] if bool((labels[:, 0] == start).all()) else labels
    return batch


SYSTEMS: dict[str, Callable[[Task], Trained]] = {
    OURS: ours(),
    "ours, 0.3 packed": ours(packed=0.3),
    "ours, whole batches": ours(seconds_at_once=None),
    "ours, 60 s at once": ours(seconds_at_once=60.0),
    "ours, fp32": ours(precision="fp32"),
    "Seq2SeqTrainer, the example (fp16, checkpointing)": trainer(fp16=True, gradient_checkpointing=True),
    "Seq2SeqTrainer, bf16, checkpointing": trainer(bf16=True, gradient_checkpointing=True),
    "Seq2SeqTrainer, bf16": trainer(bf16=True),
    "Seq2SeqTrainer, its defaults (fp32)": trainer(),
}
