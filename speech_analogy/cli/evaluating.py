"""The verb `evaluate`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech_analogy.cli.biasing import BiasBackground, BiasMethodChoice, BiasSettings, TextBiasPath, text_bias
from speech_analogy.cli.options import (
    AllowOverlap,
    Backend,
    BackendChoice,
    Beams,
    ClusterChoice,
    Compute,
    ComputeChoice,
    Device,
    Fallback,
    Language,
    Overwrite,
    Quiet,
    Window,
    decoding_options,
    typed_command,
)
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.files import reserved

if TYPE_CHECKING:
    from speech_analogy.evaluation.evaluate import Evaluation


def evaluate_command(
    cuts: Annotated[Path, typer.Argument(help="Cuts with texts.")],
    model: Annotated[str, typer.Option(help="Weights, as for --base.")],
    against: Annotated[str | None, typer.Option(help="A second model, compared on the same recordings.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json and hypotheses.")] = None,
    window: Window = None,
    beams: Beams = 1,
    backend: Backend = BackendChoice.torch,
    compute: Compute = ComputeChoice.int8,
    device: Device = "auto",
    fallback: Fallback = True,
    texts: TextBiasPath = None,
    bias_method: BiasMethodChoice = None,
    background: BiasBackground = None,
    bias_settings: BiasSettings = None,
    cluster: Annotated[ClusterChoice, typer.Option(help="What intervals are taken over.")] = ClusterChoice.speaker,
    language: Language = "en",
    allow_overlap: AllowOverlap = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """WER, CER, S/D/I with a 95 % interval and, against a second model, a paired p-value."""
    from speech_analogy.evaluation.evaluate import evaluate
    from speech_analogy.evaluation.standalone import check_new, file_of, names_of, results_of, write_results
    from speech_analogy.report.screen import table

    bias = text_bias(texts, bias_method, background, bias_settings)
    models = [model, *([] if against is None else [against])]
    with nullcontext() if out is None else reserved(out, overwrite=overwrite, error=ConfigError):
        decoding = decoding_options(window, beams, backend, compute, device, language, fallback, bias)
        overlap, spoken = check_new(cuts, models, allow_overlap)
        found: list[Evaluation] = [
            evaluate(
                cuts,
                weights,
                name=name,
                decoding=decoding,
                cluster=cluster.value,
                hypotheses_file=file_of(name),
                progress=not quiet,
            )
            for name, weights in zip(names_of(models), models, strict=True)
        ]
        results = results_of(found, cuts, language, typed_command(), overlap, spoken)
        print(table(results))
        if out is not None:
            write_results(results, found, out)
            print(f"results: {out / 'results.json'}")
