"""The whole job: from a recipe to an adapted model and `results.json`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.execution.protocol import LOCAL, Executor, RunError, make_executor
from speech_analogy.adaptation.extends import RECIPE_FILE, RecipeSource
from speech_analogy.adaptation.job.prepare import Prepared, prepare
from speech_analogy.adaptation.job.written import default_values, keep_recipe
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.plan.user_planner import UserPlanner
from speech_analogy.adaptation.recipe import Recipe, override_keys, parse_recipe, read_overridden
from speech_analogy.adaptation.runs.checks import check_run, require_room_for
from speech_analogy.adaptation.runs.damaged import set_aside_damaged
from speech_analogy.adaptation.runs.measured import measure, publish
from speech_analogy.adaptation.runs.overlap import require_new_recordings, require_new_test
from speech_analogy.adaptation.split import read_cuts_of, split
from speech_analogy.corpora.splits import digest, file_digests
from speech_analogy.errors import WeightsUnavailableError
from speech_analogy.evaluation.results import DefaultValue, Results
from speech_analogy.foundation.locks import held
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.weights import resolve_weights


@dataclass(frozen=True)
class Adaptation:
    """A finished run: where it is, the published model (None without one), its system, and what was measured."""

    run: Path
    model: Path | None
    system: str
    results: Results


@dataclass(frozen=True)
class Planned:
    """What a recipe comes to.

    Attributes:
        recipe: with every value chosen.
        plan: its stages.
        path: the recipe's file, or where the run keeps it.
        prepared: of a recipe with source and target: its data, and what was chosen by default.
        is_file: whether the recipe was read from `path`.
    """

    recipe: Recipe
    plan: Plan
    path: Path
    prepared: Prepared | None = None
    is_file: bool = True


def plan_of(
    recipe: str | Path | Mapping[str, Any],
    run: str | Path,
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    siblings: Iterable[Path] = (),
) -> tuple[Recipe, Plan]:
    """A recipe and its stages, without doing any; see `plan_run`."""
    planned = plan_run(recipe, run, overrides=overrides, data=data, siblings=siblings)
    return planned.recipe, planned.plan


def plan_run(
    recipe: str | Path | Mapping[str, Any],
    run: str | Path,
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    siblings: Iterable[Path] = (),
) -> Planned:
    """A recipe's stages, without doing any: reads the corpus's texts and headers, which takes seconds.

    Args:
        recipe: a recipe.yaml, the folder that holds one, or what one would hold, its paths from the current folder.
        run: the run's folder.
        overrides: `dotted.key=value`, the value in YAML.
        data: the corpus's path, or the source's, in place of the recipe's.
        siblings: folders of other runs: what they have finished is taken over.

    Raises:
        ConfigError: the recipe is not right.
        DataError: its corpus is not there, a part of it would be empty, or recordings or speakers of the test would be
            in training.
    """
    run = Path(run).resolve()
    source, folder = _written(recipe, overrides, data)
    path = run / RECIPE_FILE if isinstance(recipe, Mapping) else Path(recipe)
    if {"source", "target"} & source.content.keys():
        prepared = prepare(source, folder, run)
        require_new_recordings(prepared.recipe, prepared.data)
        own = UserPlanner(prepared.recipe, folder, prepared.data, base_key_of(prepared.recipe.base))
        return Planned(prepared.recipe, own.plan(run, siblings), path, prepared, not isinstance(recipe, Mapping))
    resolved = parse_recipe(source)
    cuts = read_cuts_of(resolved.experiment.corpus, resolved.language, folder, decode=False, progress=False)
    parts, files = split(cuts, resolved), file_digests(cuts)
    require_new_test(resolved, parts, files)
    planner = Planner(resolved, folder, parts, digest(cuts, files), base_key_of(resolved.base))
    return Planned(resolved, planner.plan(run, siblings), path)


def prepare_run(recipe: str | Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Prepared:
    """What a recipe with source and target comes to, without a plan; arguments and errors as of `plan_run`."""
    source, folder = _written(recipe, overrides, None)
    return prepare(source, folder, None)


def _written(
    recipe: str | Path | Mapping[str, Any], overrides: Iterable[str], data: str | Path | None
) -> tuple[RecipeSource, Path]:
    """A recipe as it is written, with its overrides, and the folder that its paths are relative to."""
    if not isinstance(recipe, Mapping):
        source = read_overridden(recipe, overrides, data)
        return source, source.files[0].parent.resolve()
    content = copy.deepcopy(dict(recipe))
    override_keys(content, overrides, data)
    return RecipeSource.unwritten(content), Path.cwd()


def base_key_of(base: str) -> str:
    """The fingerprint of a base's weights; empty where they are not there.

    A plan can be looked at without its weights; doing it will say what is missing.
    """
    try:
        return fingerprint(open_checkpoint(resolve_weights(base)))
    except WeightsUnavailableError:
        return ""


def adapt(
    recipe: str | Path | Mapping[str, Any],
    out: str | Path,
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    siblings: Iterable[Path] = (),
    executor: str = LOCAL,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> Adaptation:
    """Do a recipe and write `out/results.json`, `out/hypotheses/` and `out/model/`.

    A second call with the same recipe does nothing; a killed one goes on; a changed value redoes what depends on it.

    Args:
        recipe, overrides, data, siblings: as of `plan_run`. What a recipe with source and target comes to is kept as
            `out/recipe.yaml`.
        out: the run's folder.
        executor: what does the stages; see `make_executor`.
        workers: jobs at once; None is what the executor's place has: here one process for each GPU, or without GPUs
            one of one thread for each core. It changes nothing but time.
        command: what the user typed, for the record.

    Raises:
        SpeechAnalogyError: the recipe, the corpus, the weights or the run's folder are not right.
    """
    planned = plan_run(recipe, out, overrides=overrides, data=data, siblings=siblings)
    return adapt_planned(planned, executor=executor, workers=workers, progress=progress, command=command)


def adapt_planned(
    planned: Planned,
    *,
    executor: str = LOCAL,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> Adaptation:
    """Do what `plan_run` planned; see `adapt`."""
    doer = make_executor(executor, workers)
    check_run(planned.recipe, [planned.plan])
    with held(planned.plan.run, RunError, again=True):
        return _do(planned, doer, progress, command)


def _do(planned: Planned, doer: Executor, progress: bool, command: str) -> Adaptation:
    resolved, plan, prepared = planned.recipe, planned.plan, planned.prepared
    made = names.PUBLISHED if resolved.decides else names.model(resolved.publish or "analogy")
    published = plan.stages.get(names.WIDENED, plan.stages.get(made))
    set_aside_damaged(plan, () if published is None else (published.name,), show=progress)
    check_run(resolved, [plan])
    require_room_for(resolved, plan)
    found: list[str] = []
    defaults: list[DefaultValue] = []
    if prepared is not None:
        keep_recipe(prepared, plan.run / RECIPE_FILE, planned.path if planned.is_file else None)
        found = prepared.found
        defaults = default_values(prepared.defaults)
    results = measure(
        resolved, plan, planned.path, doer, progress=progress, command=command, found=found, defaults=defaults
    )
    system = results.published or resolved.publish or "analogy"
    model = None if published is None else publish(plan, published["model"])
    return Adaptation(plan.run, model, system, results)
