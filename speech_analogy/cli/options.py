"""Options that several verbs of the command line share."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech_analogy.foundation.plugins import registered
from speech_analogy.plain_text import masked

if TYPE_CHECKING:
    from speech_analogy.recognisers.biasing.options import TextBias
    from speech_analogy.recognisers.decoding import DecodingOptions


class WindowChoice(StrEnum):
    """The encoder's window."""

    trimmed = "trimmed"
    full = "full"


class BackendChoice(StrEnum):
    """What decodes."""

    auto = "auto"
    torch = "torch"
    ctranslate2 = "ctranslate2"


class ComputeChoice(StrEnum):
    """What decoding computes in."""

    int8 = "int8"
    float32 = "float32"
    bf16 = "bf16"


class ClusterChoice(StrEnum):
    """What intervals are taken over: utterances of one stand or fall together."""

    prompt = "prompt"
    speaker = "speaker"


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Overwrite = Annotated[bool, typer.Option(help="Replace what is there.")]
AllowOverlap = Annotated[
    bool,
    typer.Option("--allow-overlap", help="Test on recordings and speakers of the training too; every table says so."),
]
Language = Annotated[str, typer.Option(help="Language of speech and text.")]
Base = Annotated[
    str,
    typer.Option(help="Weights: a Hugging Face id, a folder, an OpenAI .pt, pip:whisper-tiny.en or pip:whisper-base."),
]
Window = Annotated[
    WindowChoice | None, typer.Option(help="Encoder window; by default the one that the model was tuned in.")
]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda or cuda:1.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; by default one for each GPU, or else one for each core.")
]
Executor = Annotated[str, typer.Option(help=f"What does the stages: {registered('speech_analogy.executors')}.")]
Beams = Annotated[int, typer.Option(min=1, help="1 is greedy.")]
Backend = Annotated[
    BackendChoice, typer.Option(help="What decodes; auto: CTranslate2 where it is installed and repays the conversion.")
]
Compute = Annotated[ComputeChoice, typer.Option(help="CTranslate2: int8 or float32; torch: bf16, or else float32.")]


Fallback = Annotated[
    bool,
    typer.Option(
        "--fallback/--no-fallback",
        help="Cut a transcript that repeats itself, or decode it again; no words on silence.",
    ),
]


def decoding_options(
    window: WindowChoice | None,
    beams: int,
    backend: BackendChoice,
    compute: ComputeChoice,
    device: str,
    language: str,
    fallback: bool = True,
    text_bias: TextBias | None = None,
) -> DecodingOptions:
    """What the options above ask for."""
    from speech_analogy.recognisers.decoding import DecodingOptions

    return DecodingOptions(
        window=window.value if window else None,
        beams=beams,
        backend=backend.value,
        compute=compute.value,
        device=device,
        language=language,
        fallback=fallback,
        text_bias=text_bias,
    )


def typed_command() -> str:
    """What was typed, without the path of the program and without passwords and keys, for records."""
    return masked(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
