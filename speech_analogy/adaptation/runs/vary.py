"""One recipe with one of its values varied: how much is enough, as a table.

Every value has a run of its own, like any other; stages that do not hang on the value are made once.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.execution.local import default_workers, worked_by
from speech_analogy.adaptation.plan.compose import slug
from speech_analogy.adaptation.plan.estimate import clock, rates, wall_clock_of, weights_bytes
from speech_analogy.adaptation.plan.stage import DONE_FILE, Plan
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.adapt import KEY_FILE, RESULTS_FILE, adapt, is_measured, plan_of
from speech_analogy.adaptation.runs.target import TRAINED_KINDS
from speech_analogy.adaptation.stages.work import MODEL_FOLDER
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.results import Results
from speech_analogy.report.variation import CURVE_FILE, curve_markdown


@dataclass(frozen=True)
class Variation:
    """What is to be done, or was: a recipe, the key that is varied, its values, each value's plan."""

    recipe: Recipe
    path: Path
    run: Path
    key: str
    plans: dict[str, Plan]
    overrides: tuple[str, ...] = ()
    data: str | Path | None = None

    def table(self) -> str:
        """The results so far as Markdown."""
        return curve_markdown(self.recipe.title, self.recipe.note, self.key, self.results(), len(self.plans))

    def results(self) -> dict[str, Results]:
        """Value -> what was measured, of the runs that are finished."""
        return {value: Results.read(plan.run / RESULTS_FILE) for value, plan in self.plans.items() if is_measured(plan)}


def plan_variation(
    recipe: str | Path,
    run: str | Path,
    key: str,
    values: Sequence[str],
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
) -> Variation:
    """The runs of a recipe with each of the values; does none of them.

    Args:
        recipe, overrides, data: as for `adapt`.
        run: the folder of all runs.
        key: a dotted key of the recipe, e.g. `split.source_utterances`.
        values: what it is set to, as YAML.

    Raises:
        ConfigError: no such key, a value that it cannot have, a value twice, or no value.
        DataError: the corpus is not there, or a part of it would be empty.
    """
    folder, given = Path(run).resolve(), tuple(overrides)
    if not all(values) or len(set(values)) < max(1, len(values)):
        said = f"{key}={','.join(values)}"
        raise ConfigError("must be a key and different values", field="vary", value=said, do="say KEY=VALUE,VALUE")
    plans: dict[str, Plan] = {}
    resolved: Recipe | None = None
    for value in values:
        place = folder / f"{key.rpartition('.')[2]}-{slug(value)}"
        resolved, plans[value] = plan_of(recipe, place, overrides=[*given, f"{key}={value}"], data=data)
    assert resolved is not None
    return Variation(resolved, Path(recipe), folder, key, plans, given, data)


def do_variation(
    job: Variation,
    *,
    keep_models: bool = True,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> dict[str, Results]:
    """Do what `plan_variation` planned; `curve.md` in the folder of all runs is written anew after every value.

    A second call does nothing, a killed one goes on.

    Args:
        keep_models: False removes a value's models once it is measured.
        workers, command: as for `adapt`.

    Returns:
        value -> what was measured.

    Raises:
        SpeechAnalogyError: the weights, an engine or a run's folder are not right.
    """
    for number, (value, plan) in enumerate(job.plans.items(), start=1):
        if not is_measured(plan):
            if progress:
                print(f"{number} of {len(job.plans)}: {job.key}={value}", file=sys.stderr, flush=True)
            _take_over(plan, [other for other in job.plans.values() if other is not plan])
            asked = [*job.overrides, f"{job.key}={value}"]
            adapt(
                job.path, plan.run, overrides=asked, data=job.data, workers=workers, progress=progress, command=command
            )
            (plan.run / KEY_FILE).write_text(plan.digest(), encoding="utf-8")
        if not keep_models:
            plans = list(job.plans.values())
            for earlier in plans[:number]:
                _remove_models(earlier, plans[number:])
        table = job.run / CURVE_FILE
        table.with_suffix(".partial").write_text(job.table(), encoding="utf-8")
        table.with_suffix(".partial").replace(table)
    return job.results()


def describe_variation(job: Variation, workers: int | None = None) -> str:
    """What is left to do, value by value."""
    count, lines, total_s = workers or default_workers(), [], 0.0
    made: set[str] = set()  # by an earlier value
    size = weights_bytes(job.recipe.base)
    for value, plan in job.plans.items():
        stages = [] if is_measured(plan) else [stage for stage in plan if not plan.is_done(stage.name)]
        left = [stage for stage in stages if plan.folder(stage.name).name not in made]
        made |= {plan.folder(stage.name).name for stage in plan if stage in left or plan.is_done(stage.name)}
        own_s = wall_clock_of(left, count, size)
        total_s += own_s
        state = f"{len(left)} of {len(plan)} stages left, ~{clock(own_s)}" if left else "done"
        lines.append(f"{job.key}={value:12} {state}")
    about = f"about {clock(total_s)} on {worked_by(count)}"
    lines += ["", f"{len(job.plans)} runs, {about} ({rates(size)})"]
    return "\n".join(lines)


def _take_over(plan: Plan, others: Sequence[Plan]) -> None:
    """Stages that another value's run has finished, as hard links."""
    for stage in plan:
        target = plan.folder(stage.name)
        there = [other.run / "stages" / target.name for other in others]
        finished = [folder for folder in there if (folder / DONE_FILE).is_file()]
        if finished and not plan.is_done(stage.name):
            building = plan.building(stage.name)
            shutil.rmtree(building, ignore_errors=True)
            shutil.copytree(finished[0], building, copy_function=os.link)
            building.rename(target)


def _remove_models(plan: Plan, later: Sequence[Plan]) -> None:
    """Every model of a measured run that no later one takes over."""
    wanted = {other.folder(stage.name).name for other in later for stage in other}
    for stage in plan:
        if stage.kind in TRAINED_KINDS and plan.folder(stage.name).name not in wanted:
            shutil.rmtree(plan.folder(stage.name), ignore_errors=True)
    shutil.rmtree(plan.run / MODEL_FOLDER, ignore_errors=True)
