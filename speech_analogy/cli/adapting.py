"""The verbs `adapt` and `init`: a recipe, or texts and recordings without one, to an adapted model and its report."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from data_synth.cli.listing import AsJson
from speech_analogy.cli.options import AllowOverlap, Executor, Quiet, Workers, typed_command
from speech_analogy.cli.reporting import show_report
from speech_analogy.errors import ConfigError

WITHOUT_RECIPE = "Without a recipe"  # a panel of the help
STANDARD_INPUT = "-"
TEXT_SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl")
KEPT_INPUT = "texts.txt"  # in the run's folder: what came by standard input

Texts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Texts of the target: .txt, .csv, .tsv, .jsonl (FILE:COLUMN), or - ; may be repeated.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
Slots = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="The texts are templates; a folder of SLOT.txt, a .json or a .yaml.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
Count = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Texts from the templates (default: all).", rich_help_panel=WITHOUT_RECIPE),
]
Source = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Transcribed recordings of anything: a folder, a manifest, or KIND:PATH.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
GivenBase = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Weights that are adapted; by default by language and by what can be had.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
GivenLanguage = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Of texts and recordings (default: en).", rich_help_panel=WITHOUT_RECIPE),
]
Unlabelled = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Recordings of the target without texts: λ is chosen on them.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
Labelled = Annotated[
    str | None,
    typer.Option(
        "--test",
        metavar="PATH",
        help="Recordings of the target with texts: the model is measured on them, and on nothing else.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
Vector = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GAP",
        help="A ready-made gap vector in place of --source: a file, or a name of `vector gaps`; repeated: their mean.",
        rich_help_panel=WITHOUT_RECIPE,
    ),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. training.epochs=3.")]


@dataclass(frozen=True)
class Doing:
    """How stages are done: by which executor, in how many processes, with or without progress; what is printed."""

    executor: str = "local"
    workers: int | None = None
    quiet: bool = False
    as_json: bool = False


def adapt_command(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe.yaml, or the folder that holds one.")] = None,
    texts: Texts = None,
    source: Source = None,
    slots: Slots = None,
    count: Count = None,
    base: GivenBase = None,
    language: GivenLanguage = None,
    unlabelled: Unlabelled = None,
    test: Labelled = None,
    vector: Vector = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/RECIPE or runs/TEXTS.")] = None,
    data: Annotated[Path | None, typer.Option(help="The corpus's folder, in place of the recipe's.")] = None,
    overrides: Overrides = None,
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
    allow_overlap: AllowOverlap = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """From texts and recordings, or a recipe, to an adapted model and a report; what is done is not done again.

    speech-analogy adapt --texts menu.txt --source recordings/ --out runs/menu
    """
    asked = asked_for(texts, source, slots, count, base, language, unlabelled, test, vector)
    if as_json and (dry_run or targets or vary):
        raise ConfigError("is of one run's results", field="--json", do="leave it out, or do one run")
    how = Doing(executor, workers, quiet, as_json)
    overrides = [*(overrides or []), *(["allow_overlap=recordings"] if allow_overlap else [])]
    many = {"--targets": targets, "--shared-source": shared_source, "--seeds": seeds, "--join": join}
    if recipe is None:
        wrong = next((name for name, value in {**many, "--vary": vary, "--data": data}.items() if value), None)
        if wrong is not None:
            raise ConfigError("is only valid with a recipe", field=wrong, do="name a recipe.yaml")
        _adapt_asked(asked, out, overrides, dry_run, how)
        return
    if recipe.suffix.lower() in TEXT_SUFFIXES:
        raise ConfigError("is no recipe", file=recipe, do=f"give texts as --texts {recipe} --source DIR")
    if asked:
        option = f"--{next(iter(asked))}"
        raise ConfigError("cannot be combined with a recipe", field=option, do="leave out the recipe, or use --set")
    run = out or Path("runs") / (recipe if recipe.is_dir() else recipe.parent).resolve().name
    if targets is None:
        if shared_source or seeds is not None or join:
            raise ConfigError("--shared-source, --seeds and --join are only valid with --targets", field="--targets")
        if vary is not None:
            _vary(recipe, run, vary, data, overrides, dry_run, not drop_models, how)
            return
        if drop_models:
            raise ConfigError("--drop-models is only valid with --targets or --vary", field="--targets")
        adapt_recipe(recipe, run, data, overrides, dry_run, how)
        return
    if vary is not None:
        raise ConfigError("--vary and --targets cannot be combined", field="--vary", do="leave one of them out")
    from speech_analogy.adaptation.runs import domains as each

    job = each.plan_domains(
        recipe,
        run,
        overrides=overrides,
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


def init_command(
    texts: Texts = None,
    source: Source = None,
    slots: Slots = None,
    count: Count = None,
    base: GivenBase = None,
    language: GivenLanguage = None,
    unlabelled: Unlabelled = None,
    test: Labelled = None,
    vector: Vector = None,
    overrides: Overrides = None,
) -> None:
    """Print the recipe that `adapt` would make of the same texts and recordings, with what was found and why.

    speech-analogy init --texts menu.txt --source recordings/ > recipe.yaml
    """
    asked = asked_for(texts, source, slots, count, base, language, unlabelled, test, vector)
    content = _content(asked)
    from speech_analogy.adaptation.job.written import recipe_text
    from speech_analogy.adaptation.runs.adapt import prepare_run

    print(recipe_text(prepare_run(content, overrides or []), Path.cwd()), end="")


def asked_for(
    texts: list[str] | None,
    source: str | None,
    slots: Path | None,
    count: int | None,
    base: str | None,
    language: str | None,
    unlabelled: str | None,
    test: str | None,
    vector: list[str] | None,
) -> dict[str, Any]:
    """The options of a run without a recipe that were given, by name."""
    given = {
        "texts": texts, "source": source, "slots": slots, "count": count, "base": base, "language": language,
        "unlabelled": unlabelled, "test": test, "vector": vector,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _content(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe with these options would hold."""
    if not asked:
        do = "name a recipe, or --texts FILE --source DIR"
        raise ConfigError("there is nothing to adapt to", field="RECIPE", do=do)
    for name, what in (
        ("texts", "--texts FILE: what the target says"),
        ("source", "--source DIR: recordings of anything, or --vector GAP in their place"),
    ):
        if name not in asked and not (name == "source" and "vector" in asked):
            raise ConfigError("is missing", field=f"--{name}", do=f"add {what}")
    templates = {
        name: str(asked[name]) if name == "slots" else asked[name] for name in ("slots", "count") if name in asked
    }
    listed: list[Any] = list(asked["texts"])
    if templates:
        listed = [{"path": one, **templates} for one in listed]
    target = {"texts": listed, **{name: asked[name] for name in ("unlabelled", "test") if name in asked}}
    return {
        **{name: asked[name] for name in ("base", "language", "source", "vector") if name in asked},
        "target": target,
    }


def _adapt_asked(asked: Mapping[str, Any], out: Path | None, overrides: list[str], dry_run: bool, how: Doing) -> None:
    """A run without a recipe; what comes by standard input is kept in its folder."""
    from speech_analogy.foundation.user_files.plain import read_piped

    content = _content(asked)
    listed = list(asked["texts"])
    run = out or Path("runs") / ("stdin" if listed[0] == STANDARD_INPUT else Path(listed[0].partition(":")[0]).stem)
    if STANDARD_INPUT not in listed:
        adapt_recipe(content, run, None, overrides, dry_run, how)
        return
    if listed.count(STANDARD_INPUT) > 1:
        raise ConfigError("standard input can be named once", field="--texts", value=STANDARD_INPUT)
    said = read_piped(sys.stdin.buffer if sys.stdin else None, "standard input")
    if not any(character.isalnum() for character in said):
        raise ConfigError(
            "standard input holds no text", field="--texts", value=STANDARD_INPUT, do="pipe a text a line"
        )
    with tempfile.TemporaryDirectory() as folder:
        tried = _content({**asked, "texts": _replaced(listed, _kept(Path(folder), said))})
        adapt_recipe(tried, run, None, overrides, True, Doing(how.executor, how.workers, quiet=True), show=dry_run)
    if not dry_run:
        content = _content({**asked, "texts": _replaced(listed, _kept(run, said))})
        adapt_recipe(content, run, None, overrides, False, how)


def _replaced(texts: list[str], kept: Path) -> list[str]:
    return [str(kept) if one == STANDARD_INPUT else one for one in texts]


def _kept(folder: Path, said: str) -> Path:
    """What came by standard input, in a file."""
    from speech_analogy.foundation.files import write_whole

    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / KEPT_INPUT, said)
    return folder / KEPT_INPUT


def _seeds(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(number) for number in text.split(","))) if text is not None else ()
    except ValueError:
        raise ConfigError("must be whole numbers, separated by commas", field="--seeds", value=text) from None


def adapt_recipe(
    recipe: Path | Mapping[str, Any],
    run: Path,
    data: Path | None,
    overrides: list[str],
    dry_run: bool,
    how: Doing,
    show: bool = True,
) -> None:
    """Do a recipe; or check it without doing it, and say what it would cost unless nothing is to be shown."""
    from speech_analogy.adaptation.execution.protocol import RunError, make_executor
    from speech_analogy.adaptation.plan.estimate import weights_bytes
    from speech_analogy.adaptation.plan.machine_pace import machine_pace
    from speech_analogy.adaptation.records.mark import NOT_AS_WRITTEN
    from speech_analogy.adaptation.runs import adapt as job
    from speech_analogy.adaptation.runs.checks import check_run
    from speech_analogy.adaptation.runs.damaged import damaged_stages
    from speech_analogy.adaptation.runs.measured import describe
    from speech_analogy.foundation.locks import held

    doer = make_executor(how.executor, how.workers)
    planned = job.plan_run(recipe, run, overrides=overrides, data=data)
    if planned.prepared is not None and show and not how.as_json:
        print("\n".join([*planned.prepared.found, ""]), flush=True)
    if dry_run:
        damaged = damaged_stages(planned.plan)
        planned.plan.leave_out(damaged)
        check_run(planned.recipe, [planned.plan])
        if not show:
            return
        size = weights_bytes(planned.recipe.base)
        print(describe(planned.plan, doer, size, machine_pace(show=not how.quiet)))
        print(*(f"{name}: {NOT_AS_WRITTEN}: {what}; to be made anew" for name, what in damaged.items()), sep="\n")
        return
    with held(planned.plan.run, RunError):
        done = job.adapt_planned(
            planned, executor=how.executor, workers=how.workers, progress=not how.quiet, command=typed_command()
        )
        show_report(run, done.system if done.model is not None else None, as_json=how.as_json)
    if done.model is not None and not how.as_json:
        print(f"adapted model ({done.system}): {done.model}")
        print(f"try it: speech-analogy transcribe AUDIO --model {run / done.model.name}")


def _vary(
    recipe: Path,
    run: Path,
    vary: str,
    data: Path | None,
    overrides: list[str],
    dry_run: bool,
    keep_models: bool,
    how: Doing,
) -> None:
    from speech_analogy.adaptation.runs import vary as variation

    key, _, values = vary.partition("=")
    job = variation.plan_variation(recipe, run, key, values.split(","), overrides=overrides, data=data)
    job.check()
    print(variation.describe_variation(job, how.workers, how.executor), flush=True)
    if not dry_run:
        variation.do_variation(
            job,
            keep_models=keep_models,
            executor=how.executor,
            workers=how.workers,
            progress=not how.quiet,
            command=typed_command(),
        )
        print(job.table())
