"""The command line: one verb a job; heavy imports happen inside the verbs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from data_synth.cli.app import app as synthesis_app
from data_synth.cli.listing import AsJson, engines_command, voices_command
from speech_analogy import __version__
from speech_analogy.cli.adapting import Doing, adapt_command, adapt_recipe, init_command
from speech_analogy.cli.biasing import bias_command
from speech_analogy.cli.evaluating import evaluate_command, score_command
from speech_analogy.cli.exporting import export_command, vector_card_command
from speech_analogy.cli.gaps import gap_command, gaps_command
from speech_analogy.cli.inventory import doctor_command, systems_command
from speech_analogy.cli.merging import merge_command, vector_app
from speech_analogy.cli.options import (
    Base,
    Executor,
    Language,
    Overwrite,
    Quiet,
    Workers,
)
from speech_analogy.cli.reporting import hypotheses_command, report_command
from speech_analogy.cli.training import finetune_command, shorten_command, widen_command
from speech_analogy.cli.transcribing import transcribe_command
from speech_analogy.cli.verifying import verify_command
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.plugins import registered
from speech_analogy.foundation.program import Verbs, run

app = typer.Typer(
    cls=Verbs,
    help="Adapt a speech recogniser to a domain with text but no recorded speech: τ_D = τ_C + λ(τ_B − τ_A).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
corpus_app = typer.Typer(help="Turn corpora into Lhotse cuts.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")
app.add_typer(vector_app, name="vector")
app.add_typer(synthesis_app, name="synthesize", help="Speak texts into a folder of labelled clips: TEXTS --out DIR.")
app.command(name="doctor")(doctor_command)
app.command(name="engines")(engines_command)
app.command(name="voices")(voices_command)
app.command(name="systems")(systems_command)
app.command(name="adapt")(adapt_command)
app.command(name="init")(init_command)
app.command(name="verify")(verify_command)
app.command(name="report")(report_command)
app.command(name="hypotheses")(hypotheses_command)
app.command(name="merge")(merge_command)
app.command(name="finetune")(finetune_command)
app.command(name="shorten")(shorten_command)
app.command(name="widen")(widen_command)
app.command(name="transcribe")(transcribe_command)
app.command(name="evaluate")(evaluate_command)
app.command(name="score")(score_command)
app.command(name="export")(export_command)
app.command(name="bias")(bias_command)
vector_app.command(name="card")(vector_card_command)
vector_app.command(name="gap")(gap_command)
vector_app.command(name="gaps")(gaps_command)

DEMO_RECIPE = "demo"
# Thousands of short operations a step: threads that sleep in between cost a third.
LEARNING = {"finetune", "shorten", "widen"}


def main() -> None:
    """Entry point: what the user can mend is one line on stderr and exit status 2."""
    if not set(sys.argv[1:2]) & LEARNING:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin starve whoever shares the cores
    run(app, "speech-analogy")


def _version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Nothing to do before a verb."""


@corpus_app.command("import")
def corpus_import(
    kind: Annotated[str, typer.Argument(help=f"{registered('speech_analogy.corpus_readers')}.")],
    path: Annotated[str, typer.Argument(help="The corpus: a folder, a manifest or, for huggingface, a name.")],
    out: Annotated[Path, typer.Option(help="The cuts to write: NAME.jsonl.gz.")],
    option: Annotated[list[str] | None, typer.Option(help="key=value for the reader, e.g. microphone=headset.")] = None,
    language: Language = "en",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Read a corpus into Lhotse cuts with a domain; what cannot be used is counted and listed."""
    from speech_analogy.corpora.read import import_corpus

    options: dict[str, Any] = {"language": language, "progress": not quiet, **_pairs(option or [], "--option")}
    reading = import_corpus(kind, path, out, options=options, overwrite=overwrite)
    print(reading.summary())
    print(f"cuts: {out}")


@app.command()
def analogy(
    c: Annotated[Path, typer.Option("--c", help="C: target, synthetic speech.")],
    plus: Annotated[Path, typer.Option(help="B: source, real speech.")],
    minus: Annotated[Path, typer.Option(help="A: source, synthetic speech.")],
    out: Annotated[Path, typer.Option(help="Folder of the adapted model D.")],
    scale: Annotated[float, typer.Option(help="λ.")] = 1.0,
    base: Annotated[str | None, typer.Option(help="θ_0, to check that A, B and C come from it.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write θ_D = θ_C + λ(θ_B − θ_A), tensor by tensor, as a complete Hugging Face folder."""
    from speech_analogy.merging.analogy import analogy as merge
    from speech_analogy.merging.io.stream import byte_bar
    from speech_analogy.recognisers.weights import resolve_weights

    origin = None if base is None else resolve_weights(base)
    with byte_bar("analogy", disable=quiet) as progress:
        merge(c, plus, minus, scale, out, base=origin, overwrite=overwrite, progress=progress)
    print(f"model: {out}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/demo"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. training.epochs=3.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the stages and what they will cost.")] = False,
    executor: Executor = "local",
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """The whole job on texts and recordings that come with the package; --dry-run says how long it will take."""
    how = Doing(executor, workers, quiet, as_json)
    adapt_recipe(recipes_folder() / DEMO_RECIPE, out, None, overrides or [], dry_run, how)


@app.command()
def bench(
    base: Base = "pip:whisper-tiny.en",
    cuts: Annotated[Path | None, typer.Option(help="Speech with texts; by default noise shaped like it.")] = None,
    seconds: Annotated[float, typer.Option(min=5, help="About how long to measure, all stages together.")] = 60.0,
    threads: Annotated[int | None, typer.Option(min=1, help="By default one a core.")] = None,
    as_json: AsJson = False,
    language: Language = "en",
    quiet: Quiet = False,
) -> None:
    """How fast this machine is at each stage, FLOP/s against its measured matmul peak, peak memory."""
    from speech_analogy.benching.bench import bench as measure
    from speech_analogy.benching.bench import table

    found = measure(base, cuts=cuts, seconds=seconds, threads=threads, language=language, progress=not quiet)
    print(found.model_dump_json(indent=2) if as_json else table(found))


def recipes_folder() -> Path:
    """The recipes: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "_recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def _pairs(pairs: list[str], option: str) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise ConfigError("must be key=value", field=option, value=pair)
        found[key] = value
    return found
