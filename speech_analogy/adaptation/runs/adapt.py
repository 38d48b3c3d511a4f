"""The whole job: from a recipe to an adapted model and `results.json`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.execution.local import default_workers, execute, worked_by
from speech_analogy.adaptation.plan.build import build_plan
from speech_analogy.adaptation.plan.compose import model_stage
from speech_analogy.adaptation.plan.estimate import clock, cost_of, rates, wall_clock_of
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.recipe import Recipe, load_recipe
from speech_analogy.adaptation.runs.collect import collect
from speech_analogy.adaptation.split import read_cuts_of, split
from speech_analogy.adaptation.stages.work import FEATURES_FOLDER, MODEL_FOLDER
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import WeightsUnavailableError
from speech_analogy.evaluation.environment import machine_record, package_versions
from speech_analogy.evaluation.results import Results
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.weights import resolve_weights

RESULTS_FILE, KEY_FILE = "results.json", "plan.sha256"


@dataclass(frozen=True)
class Adaptation:
    """A finished run: where it is, the published model (None without one), its system, and what was measured."""

    run: Path
    model: Path | None
    system: str
    results: Results


def plan_of(
    recipe_path: str | Path, run: str | Path, *, overrides: Iterable[str] = (), data: str | Path | None = None
) -> tuple[Recipe, Plan]:
    """A recipe's stages, without doing any: reads the corpus's texts and headers, which takes seconds.

    Raises:
        ConfigError: the recipe is not right.
        DataError: its corpus is not there, or a part of it would be empty.
    """
    recipe, folder = load_recipe(recipe_path, overrides, data)
    cuts = read_cuts_of(recipe.corpus, recipe.language, folder, decode=False, progress=False)
    parts = split(cuts, recipe)
    try:
        base_key = fingerprint(open_checkpoint(resolve_weights(recipe.base)))
    except WeightsUnavailableError:
        base_key = ""  # a plan can be looked at without its weights; doing it will say what is missing
    return recipe, build_plan(recipe, folder, Path(run).resolve(), parts, digest(cuts), base_key)


def adapt(
    recipe: str | Path,
    out: str | Path,
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> Adaptation:
    """Do a recipe and write `out/results.json`, `out/hypotheses/` and `out/model/`.

    A second call with the same recipe does nothing; a killed one goes on; a changed value redoes what hangs on it.

    Args:
        recipe: a recipe.yaml, or the folder that holds one.
        out: the run's folder.
        overrides: `dotted.key=value`, the value in YAML.
        data: the corpus's path, in place of the recipe's.
        workers: processes; None is one a GPU, or without GPUs one of one thread a core. It changes nothing but time.
        command: what the user typed, for the record.

    Raises:
        SpeechAnalogyError: the recipe, the corpus, the weights or the run's folder are not right.
    """
    resolved, plan = plan_of(recipe, out, overrides=overrides, data=data)
    resolve_weights(resolved.base)
    execute(plan, workers=workers, progress=progress)
    shutil.rmtree(plan.run / FEATURES_FOLDER, ignore_errors=True)
    results = collect(resolved, plan, Path(recipe), command, package_versions(), machine_record())
    results.write(plan.run / RESULTS_FILE)
    system = resolved.publish or "analogy"
    return Adaptation(plan.run, _publish_model(plan, model_stage(system)), system, results)


def is_measured(plan: Plan) -> bool:
    """Was the run done with this very plan? Its models may have been removed since."""
    key = plan.run / KEY_FILE
    whole = key.is_file() and (plan.run / RESULTS_FILE).is_file()
    return whole and key.read_text(encoding="utf-8") == plan.digest()


def describe(plan: Plan, workers: int | None = None, base_bytes: int = 0) -> str:
    """The stages of a plan as a table: what each waits for, what it will cost, whether it is done.

    Args:
        base_bytes: of the base's weights, which the costs grow with.
    """
    count = workers or default_workers()
    width = max(len(stage.name) for stage in plan)
    lines = []
    for stage in plan:
        state = "done" if plan.is_done(stage.name) else f"~{clock(cost_of([stage], base_bytes))}"
        lines.append(f"{stage.name:{width}}  {state:>12}  {', '.join(stage.needs)}".rstrip())
    left = [stage for stage in plan if not plan.is_done(stage.name)]
    done = sum(plan.is_done(stage.name) for stage in plan)
    lines.append("")
    about = f"about {clock(wall_clock_of(left, count, base_bytes))} on {worked_by(count)} ({rates(base_bytes)})"
    lines.append(f"{len(plan)} stages, {done} done; {about}")
    return "\n".join(lines)


def _publish_model(plan: Plan, stage: str) -> Path | None:
    """A stage's model under the run's own name for it; a hard link a file, a copy where links cannot be."""
    if stage not in plan.stages:
        return None
    source, target = plan.folder(stage) / MODEL_FOLDER, plan.run / "model"
    building = target.with_name(".model.building")
    shutil.rmtree(building, ignore_errors=True)
    shutil.copytree(source, building, copy_function=_link)
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
