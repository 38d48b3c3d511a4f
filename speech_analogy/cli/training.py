"""The verbs that train: `finetune`, `shorten` and `widen`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech_analogy.cli.options import Base, Device, Language, Quiet, WindowChoice

if TYPE_CHECKING:
    from speech_analogy.training.distilling.learning import Distilled


def finetune_command(
    cuts: Annotated[list[Path], typer.Argument(help="Cuts: files, or folders of Lhotse Shar; several are joined.")],
    out: Annotated[Path, typer.Option(help="Folder of the tuned model.")],
    base: Base = "pip:whisper-tiny.en",
    learning_rate: Annotated[float, typer.Option(help="Peak rate of AdamW.")] = 3e-5,
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    batch_size: Annotated[int, typer.Option(min=1)] = 16,
    window: Annotated[WindowChoice, typer.Option(help="Encoder window.")] = WindowChoice.trimmed,
    packed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of batches joined in 30 s windows, half with time stamps.")
    ] = 0.0,
    padded: Annotated[
        float, typer.Option(min=0, max=1, help="Share of batches with each utterance alone in 30 s; costs more.")
    ] = 0.0,
    order: Annotated[
        str, typer.Option(help="What shares a batch: similar duration, or similar text length (twins).")
    ] = "duration",
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32 (autocast; weights are fp32).")] = "auto",
    seconds_at_once: Annotated[
        float | None, typer.Option(help="Of windows in one forward pass; by default 40 (bf16) or 20 on a processor.")
    ] = None,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Less memory, a third slower.")] = False,
    compile_layers: Annotated[
        bool, typer.Option("--compile", help="torch.compile the encoder's layers; needs a C++ compiler.")
    ] = False,
    freeze: Annotated[list[str] | None, typer.Option(help="A module left as it is, e.g. encoder.")] = None,
    lora_rank: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Train LoRA adapters of this rank instead.")
    ] = None,
    seed: int = 0,
    language: Language = "en",
    buffer: Annotated[
        int | None,
        typer.Option(min=1, help="Cuts in memory at a time, shuffled together; by default all; 10,000 of larger Shar."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a recogniser. Killed and started again, it goes on where it was."""
    from speech_analogy.training.finetune import finetune
    from speech_analogy.training.options import FinetuneOptions

    options = FinetuneOptions.parse(
        {
            "learning_rate": learning_rate,
            "epochs": epochs,
            "batch_size": batch_size,
            "window": window.value,
            "packed": packed,
            "padded": padded,
            "order": order,
            "precision": precision,
            "seconds_at_once": "auto" if seconds_at_once is None else seconds_at_once,
            "checkpointing": checkpointing,
            "compile": compile_layers,
            "freeze": tuple(freeze or ()),
            "lora": None if lora_rank is None else {"rank": lora_rank, "alpha": 2 * lora_rank},
            "seed": seed,
            "language": language,
        }
    )
    done = finetune(cuts, base, out, options, buffer=buffer or "auto", progress=not quiet)
    print(f"{done.steps} steps, {done.utterances} utterances, {done.seconds:.0f} s, loss {done.loss:.3f}")
    print(f"model: {done.folder}")


def shorten_command(
    model: Annotated[str, typer.Argument(help="Weights, as for --base, that work well in 30 s windows.")],
    audio: Annotated[Path, typer.Option(help="Cuts or a folder of audio; texts are not used.")],
    out: Annotated[Path, typer.Option(help="Folder of the shortened model.")],
    learning_rate: Annotated[float, typer.Option(help="Peak rate of AdamW.")] = 1e-5,
    epochs: Annotated[int, typer.Option(min=1)] = 4,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    states: Annotated[str, typer.Option(help="The decoder's hidden states that are matched: last or all.")] = "all",
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32 (autocast; weights are fp32).")] = "auto",
    device: Device = "auto",
    seed: int = 0,
    language: Language = "en",
    quiet: Quiet = False,
) -> None:
    """Distil a model for 30 s windows into one for trimmed windows, which transcribes short audio fast."""
    from speech_analogy.training.distilling.options import ShortenOptions
    from speech_analogy.training.distilling.shorten import shorten

    options = ShortenOptions.parse(
        {
            "learning_rate": learning_rate,
            "epochs": epochs,
            "batch_size": batch_size,
            "states": states,
            "precision": precision,
            "seed": seed,
            "language": language,
        }
    )
    _say(shorten(model, audio, out, options, device=device, progress=not quiet))


def widen_command(
    model: Annotated[str, typer.Argument(help="Weights, as for --base, that were tuned in trimmed windows.")],
    audio: Annotated[Path, typer.Option(help="Cuts or a folder of audio; texts are not used.")],
    out: Annotated[Path, typer.Option(help="Folder of the widened model.")],
    learning_rate: Annotated[float, typer.Option(help="Peak rate of AdamW.")] = 1e-5,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    trimmed_share: Annotated[float, typer.Option(help="Of the batches, shown in the model's own window.")] = 0.25,
    alone: Annotated[float, typer.Option(help="Share of the recordings that are shown alone.")] = 0.4,
    joined: Annotated[int, typer.Option(min=0, help="Times an epoch joins all recordings in 30 s windows.")] = 2,
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32 (autocast; weights are fp32).")] = "auto",
    device: Device = "auto",
    seed: int = 0,
    language: Language = "en",
    quiet: Quiet = False,
) -> None:
    """Teach a model that was tuned in trimmed windows to write the same in 30 s windows, as other decoders use."""
    from speech_analogy.training.distilling.options import WidenOptions
    from speech_analogy.training.distilling.widen import widen

    options = WidenOptions.parse(
        {
            "learning_rate": learning_rate,
            "epochs": epochs,
            "batch_size": batch_size,
            "trimmed_share": trimmed_share,
            "alone": alone,
            "joined": joined,
            "precision": precision,
            "seed": seed,
            "language": language,
        }
    )
    _say(widen(model, audio, out, options, device=device, progress=not quiet))


def _say(done: Distilled) -> None:
    losses = ", ".join(f"{loss:.3f}" for loss in done.losses)
    print(f"{done.steps} steps, {done.utterances} utterances, {done.seconds:.0f} s, loss by epoch {losses}")
    print(f"model: {done.folder}")
