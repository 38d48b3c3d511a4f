"""The verbs `evaluate` and `score`: models on recordings, and what any system has written of them."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_synth.cli.listing import AsJson
from speech_analogy.cli.biasing import BiasBackground, BiasMethodChoice, BiasSettings, TextBiasPath, text_bias
from speech_analogy.cli.options import (
    AllowOverlap,
    Backend,
    BackendChoice,
    Beams,
    Cluster,
    ClusterChoice,
    Compute,
    ComputeChoice,
    Device,
    Fallback,
    Language,
    NormaliserChoice,
    Overwrite,
    Quiet,
    ScoredAs,
    SourceTexts,
    TargetTexts,
    Terms,
    Window,
    decoding_options,
    normaliser_of,
    question_of,
    typed_command,
)
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.files import reserved

if TYPE_CHECKING:
    from speech_analogy.evaluation.evaluate import Evaluation


class MissingChoice(StrEnum):
    """See `--missing`."""

    error = "error"
    empty = "empty"
    skip = "skip"


def evaluate_command(
    cuts: Annotated[list[Path], typer.Argument(help="Cuts with texts: files, or folders of Lhotse Shar.")],
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
    cluster: Cluster = ClusterChoice.speaker,
    language: Language = "en",
    normaliser: ScoredAs = NormaliserChoice.auto,
    terms: Terms = None,
    target_texts: TargetTexts = None,
    source_texts: SourceTexts = None,
    allow_overlap: AllowOverlap = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """WER, CER, S/D/I with a 95 % interval and, against a second model, a paired p-value."""
    from speech_analogy.corpora.cuts import cuts_of_all
    from speech_analogy.evaluation.evaluate import evaluate
    from speech_analogy.evaluation.standalone import check_new, file_of, names_of, results_of, write_results
    from speech_analogy.report.screen import table

    bias = text_bias(texts, bias_method, background, bias_settings)
    models = [model, *([] if against is None else [against])]
    asked = question_of(language, normaliser, terms, target_texts, source_texts)
    with nullcontext() if out is None else reserved(out, overwrite=overwrite, error=ConfigError):
        decoding = decoding_options(window, beams, backend, compute, device, language, fallback, bias)
        tested = cuts_of_all(cuts)
        overlap, spoken = check_new(tested, models, allow_overlap)
        found: list[Evaluation] = [
            evaluate(
                tested,
                weights,
                name=name,
                decoding=decoding,
                cluster=cluster.value,
                hypotheses_file=file_of(name),
                normalise_as=normaliser_of(normaliser),
                progress=not quiet,
            )
            for name, weights in zip(names_of(models), models, strict=True)
        ]
        results = results_of(
            found,
            ", ".join(path.name for path in cuts),
            language,
            typed_command(),
            overlap,
            spoken,
            normalise_as=normaliser_of(normaliser),
            asked=asked,
        )
        print(results.to_json() if as_json else table(results))
        if out is not None:
            write_results(results, found, out)
            print(f"results: {out / 'results.json'}", file=sys.stderr if as_json else None)


def score_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="HYPOTHESES... [REFERENCES]",
            help="Of any system: .jsonl with text or pred_text, .csv, .tsv, .trn, or Kaldi's text. The last file "
            "has the references (cuts too), unless the others have them beside the hypotheses.",
        ),
    ],
    references: Annotated[Path | None, typer.Option(help="In place of the last file.")] = None,
    consensus: Annotated[
        bool, typer.Option("--consensus", help="Of three systems or more, the best first: their consensus, too.")
    ] = False,
    missing: Annotated[
        MissingChoice,
        typer.Option(help="Where an utterance is not in all files. empty: it has no words; skip: it is left out."),
    ] = MissingChoice.error,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json and hypotheses.")] = None,
    cluster: Cluster = ClusterChoice.speaker,
    language: Language = "en",
    normaliser: ScoredAs = NormaliserChoice.auto,
    terms: Terms = None,
    target_texts: TargetTexts = None,
    source_texts: SourceTexts = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score hypotheses of any system as `evaluate` scores ours; several systems are compared pairwise."""
    from speech_analogy.evaluation.given.scoring import score_files
    from speech_analogy.evaluation.standalone import results_of, write_results
    from speech_analogy.report.screen import table

    asked = question_of(language, normaliser, terms, target_texts, source_texts)
    with nullcontext() if out is None else reserved(out, overwrite=overwrite, error=ConfigError):
        scored = score_files(
            files,
            references,
            language=language,
            cluster=cluster.value,
            normalise_as=normaliser_of(normaliser),
            missing=missing.value,
        )
        found = scored.evaluations
        results = results_of(
            found,
            scored.references,
            language,
            typed_command(),
            normalise_as=normaliser_of(normaliser),
            asked=asked,
            with_consensus=consensus,
        )
        print(results.to_json() if as_json else table(results))
        if out is not None:
            write_results(results, found, out)
            print(f"results: {out / 'results.json'}", file=sys.stderr if as_json else None)
