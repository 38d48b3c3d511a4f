"""The verb `export`: a finished model in the format of another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech_analogy.cli.options import Overwrite


def export_command(
    model: Annotated[str, typer.Argument(help="Weights: a folder, an OpenAI .pt, a Hugging Face id, pip:...")],
    to: Annotated[str, typer.Option(help="The format: transformers, ctranslate2 or openai.")],
    out: Annotated[Path, typer.Option(help="The folder to write; of openai the file NAME.pt.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a model for another runtime: transformers, CTranslate2 (faster-whisper), OpenAI's whisper."""
    from speech_analogy.export.exporter import export

    print(f"{to}: {export(model, to, out, overwrite=overwrite)}")
