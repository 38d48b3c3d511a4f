"""A run whose plan is given: doing it, collecting its results, publishing its model, removing its models."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from speech_analogy.adaptation.execution.protocol import Executor, RunError
from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.estimate import clock, cost_of, rates, wall_clock_of, weights_bytes
from speech_analogy.adaptation.plan.machine_pace import REFERENCE, MachinePace, machine_pace
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.collect import collect
from speech_analogy.adaptation.runs.key import RESULTS_FILE, is_measured, write_key
from speech_analogy.adaptation.runs.makings import makings
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER, Output
from speech_analogy.adaptation.stages.work import FEATURES_FOLDER
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import DefaultValue, Results
from speech_analogy.foundation.files import beside, copy_tree, follow_umask, replace_folder, sweep
from speech_analogy.foundation.locks import held
from speech_analogy.merging.io.model_folder import finish


def measure(
    recipe: Recipe,
    plan: Plan,
    path: Path,
    executor: Executor,
    *,
    progress: bool = True,
    command: str = "",
    found: Sequence[str] = (),
    defaults: Sequence[DefaultValue] = (),
) -> Results:
    """Do a plan and write its `results.json`.

    Args:
        path: of the recipe, for the record.
        command: what the user typed, for the record.
        found: what was found in the data, for the record.
        defaults: the values that nobody gave, for the record.
    """
    with held(plan.run, RunError, again=True):
        pace = machine_pace(show=True) if progress and plan.undone() else REFERENCE
        size = weights_bytes(recipe.base)
        execute(plan, executor, show=progress, base_bytes=size, pace=pace, command=command, held_by_caller=True)
        shutil.rmtree(plan.run / FEATURES_FOLDER, ignore_errors=True)
        results = collect(recipe, plan, path, makings(plan, _earlier(plan), command))
        results = results.model_copy(update={"found": list(found), "defaults": list(defaults)})
        results.write(plan.run / RESULTS_FILE)
        write_key(plan, [RESULTS_FILE, *(one.hypotheses_file for one in results.systems)])
        return results


def _earlier(plan: Plan) -> Results | None:
    try:
        return Results.read(plan.run / RESULTS_FILE)
    except DataError:
        return None


def publish(plan: Plan, model: Output) -> Path:
    """A copy of a stage's model under the run's own name for it: it may be changed there, and the stage stays whole."""
    target = plan.run / MODEL_FOLDER
    sweep(target)
    building = beside(target)
    copy_tree(plan.path(model), building)
    finish(building)
    follow_umask(building)
    replace_folder(building, target)
    return target


def remove_models(plan: Plan, later: Iterable[Plan] = ()) -> None:
    """Every model of a measured run that no later one takes over; scores, hypotheses and speech stay."""
    wanted = {other.folder(stage.name).name for other in later for stage in other}
    for stage in plan:
        if stage.makes_a_model and plan.folder(stage.name).name not in wanted:
            shutil.rmtree(plan.folder(stage.name), ignore_errors=True)
    shutil.rmtree(plan.run / MODEL_FOLDER, ignore_errors=True)


def left_to_do(plans: Iterable[Plan]) -> list[list[Stage]]:
    """Of each plan the stages that are left, when what an earlier one has made is taken over by the later ones."""
    made: set[str] = set()
    found = []
    for plan in plans:
        undone = [] if is_measured(plan) else plan.undone()
        left = [stage for stage in undone if plan.folder(stage.name).name not in made]
        made |= {plan.folder(stage.name).name for stage in plan if stage in left or plan.is_done(stage.name)}
        found.append(left)
    return found


def describe(plan: Plan, executor: Executor, base_bytes: int = 0, pace: MachinePace = REFERENCE) -> str:
    """The stages of a plan as a table: what each waits for, what it will cost, whether it is done.

    Args:
        base_bytes, pace: of the base's weights and of this machine, which the costs grow with; see `cost_of`.
    """
    width = max(len(stage.name) for stage in plan)
    lines = []
    for stage in plan:
        state = "done" if plan.is_done(stage.name) else f"~{clock(cost_of([stage], base_bytes, pace))}"
        lines.append(f"{stage.name:{width}}  {state:>12}  {', '.join(stage.needs)}".rstrip())
    left = plan.undone()
    lines.append("")
    wall_s = wall_clock_of(left, executor.slots, base_bytes, pace=pace)
    about = f"about {clock(wall_s)} on {executor.place} ({rates(base_bytes, pace)})"
    lines.append(f"{len(plan)} stages, {len(plan) - len(left)} done; {about}")
    return "\n".join(lines)
