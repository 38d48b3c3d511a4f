"""The command line: one verb a job; heavy imports happen inside the verbs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from data_synth.cli.app import app as synthesis_app
from data_synth.cli.listing import engines_command, voices_command
from speech_analogy import __version__
from speech_analogy.cli.evaluating import evaluate_command, transcribe_command
from speech_analogy.cli.exporting import export_command, vector_card_command
from speech_analogy.cli.gaps import gap_command
from speech_analogy.cli.inventory import doctor_command, systems_command
from speech_analogy.cli.merging import merge_command, vector_app
from speech_analogy.cli.options import (
    Base,
    Executor,
    Language,
    Overwrite,
    Quiet,
    Workers,
    typed_command,
)
from speech_analogy.cli.training import finetune_command, shorten_command
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
app.command(name="merge")(merge_command)
app.command(name="finetune")(finetune_command)
app.command(name="shorten")(shorten_command)
app.command(name="transcribe")(transcribe_command)
app.command(name="evaluate")(evaluate_command)
app.command(name="export")(export_command)
vector_app.command(name="card")(vector_card_command)
vector_app.command(name="gap")(gap_command)

DEMO_RECIPE = "phone_line"
LEARNING = {"finetune", "shorten"}  # thousands of short operations a step: threads that sleep in between cost a third


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
def adapt(
    recipe: Annotated[Path, typer.Argument(help="A recipe.yaml, or the folder that holds one.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/RECIPE.")] = None,
    data: Annotated[Path | None, typer.Option(help="The corpus's folder, in place of the recipe's.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. training.epochs=3.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the stages and what they will cost.")] = False,
    executor: Executor = "local",
    workers: Workers = None,
    targets: Annotated[
        str | None, typer.Option(help="each: every target domain in turn, one table; or some of them: alarm,audio.")
    ] = None,
    shared_source: Annotated[
        bool, typer.Option("--shared-source", help="With --targets: A and B once, on domains that are never a target.")
    ] = False,
    seeds: Annotated[
        str | None, typer.Option(help="With --targets: each domain with every one of these training seeds: 0,1,2.")
    ] = None,
    vary: Annotated[
        str | None,
        typer.Option(help="KEY=V1,V2,...: the recipe once with each value, one table: split.target_texts=25,50."),
    ] = None,
    drop_models: Annotated[
        bool, typer.Option("--drop-models", help="With --targets or --vary: remove a run's models once it is measured.")
    ] = False,
    join: Annotated[
        list[Path] | None,
        typer.Option(help="With --targets: domains.json of an earlier run; what it has is not done again."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Do a recipe: corpus, synthesis, fine-tunings, analogy, evaluation, report. Finished stages are not done again."""
    run = out or Path("runs") / (recipe if recipe.is_dir() else recipe.parent).resolve().name
    if targets is None:
        if shared_source or seeds is not None or join:
            raise ConfigError("--shared-source, --seeds and --join are only valid with --targets", field="--targets")
        if vary is not None:
            _vary(recipe, run, vary, data, overrides or [], dry_run, not drop_models, executor, workers, quiet)
            return
        if drop_models:
            raise ConfigError("--drop-models is only valid with --targets or --vary", field="--targets")
        _adapt(recipe, run, data, overrides or [], dry_run, executor, workers, quiet)
        return
    if vary is not None:
        raise ConfigError("--vary and --targets cannot be combined", field="--vary", do="leave one of them out")
    from speech_analogy.adaptation.runs import domains as each

    job = each.plan_domains(
        recipe,
        run,
        overrides=overrides or [],
        data=data,
        domains=() if targets == "each" else tuple(targets.split(",")),
        source="rest" if shared_source else "others",
        seeds=_seeds(seeds),
        earlier=join or [],
        progress=not quiet,
    )
    job.check()
    print(each.describe_domains(job, workers, executor), flush=True)
    if not dry_run:
        done = each.do_domains(
            job,
            keep_models=not drop_models,
            executor=executor,
            workers=workers,
            progress=not quiet,
            command=typed_command(),
        )
        print(each.table_markdown(done))


def _seeds(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(number) for number in text.split(","))) if text is not None else ()
    except ValueError:
        raise ConfigError("must be whole numbers, separated by commas", field="--seeds", value=text) from None


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/demo"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. training.epochs=3.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the stages and what they will cost.")] = False,
    executor: Executor = "local",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """The whole job on telephone prompts that come with the package: nine minutes on 2 cores."""
    _adapt(recipes_folder() / DEMO_RECIPE, out, None, overrides or [], dry_run, executor, workers, quiet)


@app.command()
def bench(
    base: Base = "pip:whisper-tiny.en",
    cuts: Annotated[Path | None, typer.Option(help="Speech with texts; by default noise shaped like it.")] = None,
    seconds: Annotated[float, typer.Option(min=5, help="About how long to measure, all stages together.")] = 60.0,
    threads: Annotated[int | None, typer.Option(min=1, help="By default one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
    language: Language = "en",
    quiet: Quiet = False,
) -> None:
    """How fast this machine is at each stage, FLOP/s against its measured matmul peak, peak memory."""
    from speech_analogy.benching.bench import bench as measure
    from speech_analogy.benching.bench import table

    found = measure(base, cuts=cuts, seconds=seconds, threads=threads, language=language, progress=not quiet)
    print(found.model_dump_json(indent=2) if as_json else table(found))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run's folder, with results.json.")],
    system: Annotated[
        str | None, typer.Option(help="The system that RUN/model is; by default what `adapt` recorded.")
    ] = None,
) -> None:
    """Write results.md, report.html and the model's card (model/README.md) of a run, and print its table."""
    _report(run, system)


def _adapt(
    recipe: Path,
    run: Path,
    data: Path | None,
    overrides: list[str],
    dry_run: bool,
    executor: str,
    workers: int | None,
    quiet: bool,
) -> None:
    from speech_analogy.adaptation.execution.protocol import make_executor
    from speech_analogy.adaptation.plan.estimate import weights_bytes
    from speech_analogy.adaptation.plan.machine_pace import machine_pace
    from speech_analogy.adaptation.runs import adapt as job
    from speech_analogy.adaptation.runs.checks import check_run
    from speech_analogy.adaptation.runs.measured import describe

    if dry_run:
        doer = make_executor(executor, workers)
        resolved, plan = job.plan_of(recipe, run, overrides=overrides, data=data)
        check_run(resolved, [plan])
        print(describe(plan, doer, weights_bytes(resolved.base), machine_pace(show=not quiet)))
        return
    done = job.adapt(
        recipe,
        run,
        overrides=overrides,
        data=data,
        executor=executor,
        workers=workers,
        progress=not quiet,
        command=typed_command(),
    )
    _report(run, done.system if done.model is not None else None)
    if done.model is not None:
        print(f"adapted model ({done.system}): {done.model}")


def _vary(
    recipe: Path,
    run: Path,
    vary: str,
    data: Path | None,
    overrides: list[str],
    dry_run: bool,
    keep_models: bool,
    executor: str,
    workers: int | None,
    quiet: bool,
) -> None:
    from speech_analogy.adaptation.runs import vary as variation

    key, _, values = vary.partition("=")
    job = variation.plan_variation(recipe, run, key, values.split(","), overrides=overrides, data=data)
    job.check()
    print(variation.describe_variation(job, workers, executor), flush=True)
    if not dry_run:
        variation.do_variation(
            job,
            keep_models=keep_models,
            executor=executor,
            workers=workers,
            progress=not quiet,
            command=typed_command(),
        )
        print(job.table())


def _report(run: Path, published: str | None = None) -> None:
    from speech_analogy.evaluation.results import Results
    from speech_analogy.report.report import write_report
    from speech_analogy.report.screen import table

    page = write_report(run, published)
    print(table(Results.read(run / "results.json")))
    print(f"report: {page.resolve()}")


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
