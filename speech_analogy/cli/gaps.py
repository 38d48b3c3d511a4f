"""`vector gap` makes a gap of a run, `vector gaps` lists those that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech_analogy.cli.merging import Out, running
from speech_analogy.cli.options import Overwrite, Quiet
from speech_analogy.errors import ConfigError


def gap_command(
    out: Out,
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of finished runs; several: their mean.")] = None,
    real: Annotated[Path | None, typer.Option(help="B in place of a run: a model tuned on real speech.")] = None,
    synthetic: Annotated[Path | None, typer.Option(help="A: a model tuned on the same texts, spoken by TTS.")] = None,
    channel: Annotated[str, typer.Option(help="For the card: the channel of the real speech, in words.")] = "",
    speakers: Annotated[str, typer.Option(help="For the card: who spoke it.")] = "",
    voices: Annotated[str, typer.Option(help="For the card: engines and voices of the synthetic speech.")] = "",
    licence: Annotated[str, typer.Option(help="For the card: of the vector.")] = "",
    creator: Annotated[str, typer.Option(help="For the card: who made it.")] = "",
    method: Annotated[str, typer.Option(help="How it is compressed; fp32: not at all.")] = "low-rank",
    keep: Annotated[float, typer.Option(help="Share of the numbers kept (topk, dare, low-rank).")] = 0.2,
    values: Annotated[str, typer.Option(help="How kept numbers are stored: fp32, fp16, int8, int4, sign.")] = "int4",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write τ_B − τ_A of a run's source, or the mean of several runs', as a small vector with a card."""
    from speech_analogy.adaptation.runs.gaps import pair_of, write_gap
    from speech_analogy.merging.vectors.compress import SELECTING, Compression

    if (real is None) != (synthetic is None) or bool(runs) == (real is not None):
        raise ConfigError("give either runs, or --real and --synthetic", field="RUN")
    pairs = [(real, synthetic)] if real is not None and synthetic is not None else [pair_of(run) for run in runs or ()]
    selecting = method in SELECTING
    how = Compression(
        method,  # type: ignore[arg-type]
        keep=keep if selecting else 1.0,
        values=values if selecting else "fp16",  # type: ignore[arg-type]
    )
    words = {"channel": channel, "speakers": speakers, "voices": voices, "licence": licence, "creator": creator}
    with running("gap", None, quiet) as options:
        made = write_gap(pairs, out, how=how, overwrite=overwrite, options=options, **words)
    found = made.compression
    typer.echo(
        f"{made.file}: {found.file_bytes} bytes, {found.ratio:.1f}x smaller than float32, "
        f"relative L2 error {found.relative_error:.4f}, cosine {found.cosine:.6f}\ncard: {made.card}"
    )


def gaps_command() -> None:
    """List the gap vectors that come with the package, for `vector:` in a recipe."""
    from speech_analogy.adaptation.gaps.library import shipped_gaps

    found = shipped_gaps()
    for gap in found:
        typer.echo(
            f"{gap.name}  {gap.base}  {gap.file.stat().st_size / 2**20:.1f} MiB  {gap.speech}\n  card: {gap.card}"
        )
    if not found:
        typer.echo("None comes with this version; `speech-analogy vector gap` makes one of a run.")
