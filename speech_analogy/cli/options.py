"""Options that several verbs of the command line share."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.plugins import registered
from speech_analogy.plain_text import masked

if TYPE_CHECKING:
    from speech_analogy.evaluation.answers.questions import Question
    from speech_analogy.evaluation.normalise import NormaliserName
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


class NormaliserChoice(StrEnum):
    """What of texts counts where they are compared."""

    auto = "auto"
    english = "english"
    basic = "basic"
    characters = "characters"
    whisper_basic = "whisper-basic"
    none = "none"


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Overwrite = Annotated[bool, typer.Option(help="Replace what is there.")]
AllowOverlap = Annotated[
    bool,
    typer.Option("--allow-overlap", help="Test on recordings and speakers of the training too; every table says so."),
]


def _code(value: str) -> str:
    from speech_analogy.foundation.options import language_code  # pydantic is not for --help

    try:
        return language_code(value)
    except ValueError as error:
        raise typer.BadParameter(f"{value!r} {error}") from None


Language = Annotated[str, typer.Option(callback=_code, help="Language of speech and text.")]
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
ScoredAs = Annotated[
    NormaliserChoice,
    typer.Option(
        "--normaliser",
        help="What counts of texts. english: openai-whisper's for English; basic: no case and punctuation, marks kept; "
        "characters: basic, by character; whisper-basic drops marks, too; none: all. auto: by the language.",
    ),
]
Cluster = Annotated[ClusterChoice, typer.Option(help="What intervals are taken over.")]
Terms = Annotated[
    Path | None,
    typer.Option(help="Names, products, ...: one a line. Recall, precision and false insertions are counted."),
]
TargetTexts = Annotated[
    Path | None,
    typer.Option(help="With --source-texts: WER on the words that only these texts have, and on others; rare terms."),
]
SourceTexts = Annotated[Path | None, typer.Option(help="Texts of the source; see --target-texts.")]
Beams = Annotated[int, typer.Option(min=1, max=100, help="1 is greedy.")]
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


def normaliser_of(choice: NormaliserChoice) -> NormaliserName | None:
    """The chosen normaliser; None: the language's own."""
    return None if choice is NormaliserChoice.auto else choice.value  # type: ignore[return-value]


def question_of(
    language: str, normaliser: NormaliserChoice, terms: Path | None, target: Path | None, source: Path | None
) -> Question:
    """What is asked of every system.

    Raises:
        ConfigError: one kind of texts is given without the other.
        DataError: a file cannot be read.
    """
    from data_synth.text.texts import read_texts
    from speech_analogy.evaluation.answers.questions import question
    from speech_analogy.evaluation.measures.terms import read_terms
    from speech_analogy.evaluation.normalise import normaliser as normaliser_for

    if (target is None) != (source is None):
        given, lacking = ("--target-texts", "--source-texts")[:: 1 if source is None else -1]
        raise ConfigError("words of the target's own need both kinds of texts", field=given, do=f"give {lacking} too")
    texts = [None if path is None else [one.text for one in read_texts(path)] for path in (target, source)]
    return question(
        normaliser_for(language, normaliser_of(normaliser)),
        language=language,
        target=texts[0],
        source=texts[1],
        terms=() if terms is None else read_terms(terms),
        chosen="" if terms is None else terms.name,
    )


def typed_command() -> str:
    """What was typed, without the path of the program and without passwords and keys, for records."""
    return masked(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
