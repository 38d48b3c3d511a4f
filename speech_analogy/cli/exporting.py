"""What is handed on: a model in another runtime's format (`export`), a task vector's card (`vector card`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech_analogy.cli.options import Overwrite
from speech_analogy.foundation.plugins import registered


def export_command(
    model: Annotated[str, typer.Argument(help="Weights: a folder, an OpenAI .pt, a Hugging Face id, pip:...")],
    to: Annotated[str, typer.Option(help=f"The format: {registered('speech_analogy.exporters')}.")],
    out: Annotated[
        Path, typer.Option(help="The folder to write; of a format that is one file, the file, e.g. NAME.pt.")
    ],
    quantization: Annotated[
        str | None, typer.Option(help="Type of the weights: ctranslate2 has int8 and others.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for another runtime, e.g. CTranslate2 (faster-whisper) or OpenAI's whisper."""
    from speech_analogy.export.exporter import export

    print(f"{to}: {export(model, to, out, quantization=quantization, overwrite=overwrite)}")


def vector_card_command(
    vector: Annotated[Path, typer.Argument(help="A task vector: NAME.safetensors.")],
    run: Annotated[Path | None, typer.Option(help="A run's folder, which measured the base plus this vector.")] = None,
    system: Annotated[str, typer.Option(help="Which system of the run that is.")] = "analogy",
    scale: Annotated[float | None, typer.Option(help="Its λ; by default the one that was chosen.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write, e.g. README.md; by default the screen.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the README.md of a task vector as Hugging Face reads it: its base, what it was tuned on, its results."""
    from speech_analogy.cards.records import vector_facts
    from speech_analogy.evaluation.results import Results
    from speech_analogy.foundation.files import whole_file
    from speech_analogy.merging.vectors.file import read_vector_file
    from speech_analogy.report.cards import vector_card

    _, base, provenance = read_vector_file(vector, verify=False)
    results = None if run is None else Results.read(run / "results.json")
    card = vector_card(vector_facts(base.name, base.fingerprint, provenance), results, name=system, scale=scale)
    if out is None:
        print(card, end="")
        return
    with whole_file(out, overwrite=overwrite) as temporary:
        temporary.write_text(card, encoding="utf-8")
    print(f"card: {out}")
