"""Fine-tune a recogniser on cuts: one readable loop on Accelerate, resumable to the same weights bit for bit.

Everything random is a function of (seed, epoch, step), so the state to resume from is weights, moments and a number.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from lhotse import CutSet
from torch.utils.tensorboard import SummaryWriter

from speech_analogy import __version__
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import CheckpointError, ConfigError, TrainingError
from speech_analogy.foundation.disk.refusals import require_room
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.locks import held
from speech_analogy.foundation.progress import bar
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.naming import known_as
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import window_record
from speech_analogy.training.batching import TrainingBatch, prefetch
from speech_analogy.training.clock import Clock
from speech_analogy.training.diverging import require_finite_loss, require_finite_weights
from speech_analogy.training.ewc import Anchor
from speech_analogy.training.features import KEPT_BYTES, FeatureStore
from speech_analogy.training.memory import bound_kernel_caches, give_back_freed_memory, keep_freed_memory
from speech_analogy.training.optimiser import decay_groups, schedule
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import PlannedBatch, make_planned, require_timestamps
from speech_analogy.training.precision import autocast_precision
from speech_analogy.training.publish import ADAPTER_FOLDER, publish_tuned, require_new
from speech_analogy.training.speech.opening import Buffer, training_speech
from speech_analogy.training.speech.source import TrainingSpeech
from speech_analogy.training.state import load_state, save_state
from speech_analogy.training.trained_part import Adapters, checkpoint_activations, compile_layers, freeze

SECONDS_AT_ONCE = {"bf16": 40.0, "no": 20.0}  # of windows in one forward pass, on a processor: as many bytes in both
FP32_BYTES = 4
SMOOTHING = 0.9  # of the loss shown beside the progress bar


@dataclass(frozen=True)
class Finetuned:
    """A finished fine-tuning: a complete Hugging Face folder with `provenance.json` and `training/`."""

    folder: Path
    steps: int
    utterances: int
    seconds: float
    loss: float
    """Mean training loss of the last epoch."""


def finetune(
    cuts: str | Path | CutSet | Sequence[str | Path],
    base: str | Path,
    out: str | Path,
    options: FinetuneOptions | None = None,
    *,
    buffer: Buffer = "auto",
    description: str = "fine-tune",
    features: Path | None = None,
    remember: str | Path | CutSet | None = None,
    progress: bool = True,
) -> Finetuned:
    """Fine-tune `base` on `cuts` and write the model to `out`; killed and started again, it goes on where it was.

    Weights are fp32 and stay fp32: the deltas that task vectors are made of are smaller than bf16 can hold.
    AdamW with linear warm-up and decay to zero; gradients clipped; batches from Lhotse's duration buckets.

    Under `accelerate launch` the processes share each batch, so that any number of them gives the same loss curve.

    With `lora` the folder holds the merged model, and the adapters as a PEFT folder in `adapter/`.

    Args:
        cuts: utterances with texts, each at most 30 s: files of cuts, folders of Lhotse Shar, or cuts themselves.
        base: weights by name (see `resolve_weights`).
        out: the folder to make.
        buffer: how many cuts of files and shards are in memory, and shuffled with one another, at a time; auto: all,
            or where there are more than `IN_MEMORY_AT_MOST` as many as that, unless batches are by text.
        features: a folder where features are kept for other fine-tunings on the same recordings; None: in memory.
        remember: with `ewc`, the utterances that the base must not forget.

    Raises:
        CheckpointError: `out` exists, the base cannot be loaded, or another process trains towards `out`.
        DataError: the cuts cannot be used.
        TrainingError: a loss or a weight became NaN or infinite; nothing is written.
        ConfigError: `ewc` without `remember`, and what the options themselves refuse.
    """
    options, out = options or FinetuneOptions(), Path(out)
    if (options.ewc is None) != (remember is None):
        raise ConfigError("`ewc` and `remember` must be given together", field="ewc", do="give both, or neither")
    require_new(out)
    keep_freed_memory()
    bound_kernel_caches()
    precision = autocast_precision(options.precision)
    AcceleratorState._reset_state()  # else a second fine-tuning of a process must have the first one's precision
    accelerator = Accelerator(mixed_precision=precision)
    speech, held_cuts = training_speech(cuts, options, buffer, progress=progress and accelerator.is_main_process)
    folder = resolve_weights(str(base))
    recogniser = load_recogniser(folder, language=options.language, device=accelerator.device)
    require_timestamps(family_of(recogniser), options)
    speech.require_writable(recogniser)
    base_fingerprint = fingerprint(open_checkpoint(folder))
    remembered = None if remember is None else cuts_of(remember)
    content = speech.key if remembered is None else f"{speech.key} {digest(remembered)}"
    streamed = {} if held_cuts is None else {"buffer": held_cuts}
    key = _key(options, content, base_fingerprint, accelerator, streamed)
    working = out.with_name(f".{out.name}.training")
    start = time.perf_counter()
    with _alone_in(working, out, accelerator):
        require_room(
            out.parent, FP32_BYTES * sum(p.numel() for p in recogniser.model.parameters()), out, CheckpointError
        )
        kept_bytes = KEPT_BYTES if options.epochs > 1 and speech.keeps_features else 0
        store = FeatureStore(recogniser, options.window, features, kept_bytes)
        run = _Run(recogniser, speech, options, accelerator, working, key, store, description, progress)
        if options.ewc is not None and remembered is not None:
            run.anchor = Anchor(
                recogniser,
                remembered,
                options.ewc,
                run.parameters,
                options.window,
                store,
                accelerator.autocast,
                run.progress,
            )
        loss = run.train()
        if accelerator.is_main_process:
            record = {
                "schema": 1,
                "base": provenance(folder).get("base") or known_as(base),
                "base_fingerprint": base_fingerprint,
                "window": window_record(options.window),
                "language": options.language,
                **speech.record(folder, options.language),
                "hyper_parameters": options.model_dump(exclude={"save_every_s", "language", "window"}) | streamed,
                "steps": run.steps,
                "precision": {"no": "fp32"}.get(precision, precision),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "creator": f"speech-analogy {__version__}",
            }
            publish_tuned(recogniser, working, out, record, speech.write)
    accelerator.wait_for_everyone()
    return Finetuned(out, run.steps, speech.utterances * options.epochs, time.perf_counter() - start, loss)


@contextmanager
def _alone_in(working: Path, out: Path, accelerator: Accelerator) -> Iterator[None]:
    """One training at a time towards one output; of one that diverged nothing is left to go on from.

    Raises:
        CheckpointError: another process is at it, or has just made it.
    """
    if not accelerator.is_main_process:
        yield
        return
    with held(working, CheckpointError):
        require_new(out, working)
        try:
            yield
        except TrainingError:
            shutil.rmtree(working, ignore_errors=True)
            raise


class _Run:
    """One fine-tuning under way."""

    def __init__(
        self,
        recogniser: Recogniser,
        speech: TrainingSpeech,
        options: FinetuneOptions,
        accelerator: Accelerator,
        working: Path,
        key: str,
        store: FeatureStore,
        description: str,
        progress: bool,
    ) -> None:
        self.recogniser, self.options, self.accelerator = recogniser, options, accelerator
        self.working, self.key, self.store = working, key, store
        self.description, self.progress = description, progress and accelerator.is_main_process
        automatic = SECONDS_AT_ONCE[accelerator.mixed_precision] if accelerator.device.type == "cpu" else None
        wanted = options.seconds_at_once
        self.seconds_at_once: float | None = automatic if wanted == "auto" else wanted
        if options.freeze:
            freeze(recogniser.model, options.freeze)
        self.anchor: Anchor | None = None
        self.adapters = Adapters(recogniser.model, options.lora, options.seed) if options.lora else None
        if options.checkpointing:
            checkpoint_activations(recogniser.model, True)
        if options.compile:
            compile_layers(recogniser.model, True)
        self.parameters = {n: p for n, p in recogniser.model.named_parameters() if p.requires_grad}
        self.optimiser = torch.optim.AdamW(
            decay_groups(self.parameters, options.weight_decay), lr=options.learning_rate, fused=True
        )
        self.batches = speech.batches(options)
        self.steps = self.batches.steps
        if accelerator.num_processes > 1:
            recogniser.model = accelerator.prepare_model(recogniser.model)
        if accelerator.scaler is not None:  # fp16: it must know the optimiser whose gradients it scales back
            self.optimiser = accelerator.prepare_optimizer(self.optimiser, device_placement=False)

    def train(self) -> float:
        """Run what is left of the steps; returns the mean loss of the last epoch's steps that were run here."""
        done = load_state(self.working, self.key, self.parameters, self.optimiser)
        last, steps_of_last = 0.0, 0  # epoch: the sum of its losses, and how many
        self.recogniser.model.train()
        shown = bar(self.steps, self.description, "steps", show=self.progress, done=done)
        with self._logs(done) as write, shown:
            saved, smoothed = time.monotonic(), None
            batches, clock = self._from(done), Clock()
            for step in range(done, self.steps):
                clock.start()
                utterances, batch = next(batches)
                clock.lap("waiting")
                loss, rate = self._step(step, batch, clock)
                require_finite_loss(loss, step + 1, self.options.learning_rate)
                if step >= self.steps - self.batches.last:
                    last, steps_of_last = last + loss, steps_of_last + 1
                row: dict[str, Any] = {"step": step + 1, "epoch": self.batches.epoch_of(step), "loss": loss}
                row |= {"learning_rate": rate, "utterances_per_second": utterances / clock.total}
                smoothed = loss if smoothed is None else SMOOTHING * smoothed + (1 - SMOOTHING) * loss
                shown.note(loss=f"{smoothed:.3f}")
                shown.update()
                write(row, clock)
                if time.monotonic() - saved >= self.options.save_every_s and step + 1 < self.steps:
                    self._save(step + 1)
                    saved = time.monotonic()
        self.optimiser.state.clear()  # its moments are twice the model, and saving takes memory too
        give_back_freed_memory()
        self.recogniser.model = self.accelerator.unwrap_model(self.recogniser.model).eval()
        if self.options.checkpointing:
            checkpoint_activations(self.recogniser.model, False)
        if self.options.compile:
            compile_layers(self.recogniser.model, False)
        if self.adapters is not None and self.accelerator.is_main_process:
            shutil.rmtree(self.working / ADAPTER_FOLDER, ignore_errors=True)
            self.adapters.save(self.working / ADAPTER_FOLDER)
            self.adapters.merge()
        require_finite_weights(self.recogniser.model, self.options.learning_rate)
        return last / steps_of_last if steps_of_last else float("nan")

    def _step(self, step: int, batch: TrainingBatch, clock: Clock) -> tuple[float, float]:
        """Forward, backward, clip, update; returns the step's loss over all processes and the learning rate."""
        torch.manual_seed(self.options.seed * self.steps + step)  # dropout, where a model has it
        rate = self.options.learning_rate * schedule(step, self.steps, self.options.warmup_share)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device, processes = self.accelerator.device, self.accelerator.num_processes
        parts, mean = list(batch.parts(self.seconds_at_once)), torch.zeros((), device=device)
        for number, (part, share) in enumerate(parts, start=1):
            together = nullcontext() if number == len(parts) else self.accelerator.no_sync(self.recogniser.model)
            with together:
                with self.accelerator.autocast():
                    loss = self.recogniser.loss(
                        part.features.to(device), part.inputs.to(device), part.targets.to(device)
                    )
                clock.lap("forward")
                weight = share * processes  # gradients are averaged over the processes, shares add up to 1 over them
                self.accelerator.backward(loss if weight == 1 else loss * weight)
                clock.lap("backward")
            mean += share * loss.detach()
        if self.anchor is not None:
            self.anchor.pull(1.0 if self.accelerator.scaler is None else self.accelerator.scaler.get_scale())
        self.accelerator.clip_grad_norm_(list(self.parameters.values()), self.options.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if processes > 1:
            mean = self.accelerator.reduce(mean, reduction="sum")
        found = float(mean)
        clock.lap("optimiser")
        return found, rate

    def _from(self, done: int) -> Iterator[tuple[int, TrainingBatch]]:
        """The batches of the steps that are left, each with the utterances of all processes."""
        return prefetch(self.batches.from_step(done), self._make)

    def _make(self, planned: PlannedBatch) -> tuple[int, TrainingBatch]:
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        made = make_planned(planned, self.recogniser, self.options.window, self.store, rank, processes)
        return len(planned.cuts), made

    def _save(self, step: int) -> None:
        if self.accelerator.is_main_process:
            save_state(self.working, step, self.key, self.parameters, self.optimiser)

    @contextmanager
    def _logs(self, done: int) -> Iterator[Callable[[dict[str, Any], Clock], None]]:
        """What writes a step's row to `log.jsonl`, cut back to the steps that are kept, and to TensorBoard."""
        if not self.accelerator.is_main_process:
            yield lambda row, clock: None
            return
        folder = self.working / "training"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        _keep_lines(path, done)
        board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        with path.open("a", encoding="utf-8", buffering=1) as log:

            def write(row: dict[str, Any], clock: Clock) -> None:
                for name in ("loss", "learning_rate", "utterances_per_second"):
                    board.add_scalar(name, row[name], row["step"])
                clock.lap("logging")
                log.write(json.dumps(row | {"seconds": clock.rounded()}) + "\n")

            try:
                yield write
            finally:
                board.close()


def _keep_lines(path: Path, count: int) -> None:
    """Cut a log back to its first lines; one that is missing is begun."""
    with whole_file(path, error=CheckpointError) as building, building.open("w", encoding="utf-8") as kept:
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace", newline="\n") as log:
                kept.writelines(line.removesuffix("\n") + "\n" for line in islice(log, count) if line.strip("\n"))


def _key(options: FinetuneOptions, cuts: str, base: str, accelerator: Accelerator, streamed: Mapping[str, int]) -> str:
    content = {
        **streamed,
        "options": options.model_dump(exclude={"save_every_s"}),
        "cuts": cuts,
        "base": base,
        "processes": accelerator.num_processes,
        "precision": accelerator.mixed_precision,
        "device": accelerator.device.type,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
