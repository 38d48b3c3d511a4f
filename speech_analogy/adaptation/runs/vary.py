"""One recipe with one of its values varied: how much is enough, as a table.

Every value has a run of its own, like any other; stages that do not depend on the value are made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.execution.protocol import LOCAL, RunError, make_executor
from speech_analogy.adaptation.plan.estimate import clock, rates, wall_clock_of, weights_bytes
from speech_analogy.adaptation.plan.machine_pace import machine_pace
from speech_analogy.adaptation.plan.names import slug
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.adapt import adapt, plan_of
from speech_analogy.adaptation.runs.checks import check_run
from speech_analogy.adaptation.runs.damaged import set_aside_damaged
from speech_analogy.adaptation.runs.key import RESULTS_FILE, is_measured
from speech_analogy.adaptation.runs.measured import left_to_do, remove_models
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.locks import held
from speech_analogy.foundation.progress import say
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

    def check(self) -> None:
        """Raise where what is left cannot be done; see `check_run`."""
        for value, plan in self.plans.items():
            if not is_measured(plan):
                own = {"base": value} if self.key == "base" else {}
                check_run(self.recipe.model_copy(update=own), [plan])

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
    places = {value: folder / f"{key.rpartition('.')[2]}-{slug(value)}" for value in values}
    plans: dict[str, Plan] = {}
    resolved: Recipe | None = None
    for value, place in places.items():
        asked = [*given, f"{key}={value}"]
        resolved, plans[value] = plan_of(recipe, place, overrides=asked, data=data)
    assert resolved is not None
    return Variation(resolved, Path(recipe), folder, key, plans, given, data)


def do_variation(
    job: Variation,
    *,
    keep_models: bool = True,
    executor: str = LOCAL,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> dict[str, Results]:
    """Do what `plan_variation` planned; `curve.md` in the folder of all runs is rewritten after every value.

    A second call does nothing, a killed one goes on.

    Args:
        keep_models: False removes a value's models once it is measured.
        executor, workers, command: as for `adapt`.

    Returns:
        value -> what was measured.

    Raises:
        SpeechAnalogyError: the weights, an engine or a run's folder are not right.
    """
    job.check()
    with held(job.run, RunError):
        plans = list(job.plans.values())
        for plan in plans:
            set_aside_damaged(plan, show=progress)
        job.check()
        for number, (value, plan) in enumerate(job.plans.items(), start=1):
            if not is_measured(plan):
                if progress:
                    say(f"{number} of {len(plans)}: {job.key}={value}")
                adapt(
                    job.path,
                    plan.run,
                    overrides=[*job.overrides, f"{job.key}={value}"],
                    data=job.data,
                    siblings=[other.run for other in plans if other is not plan],
                    executor=executor,
                    workers=workers,
                    progress=progress,
                    command=command,
                )
            if not keep_models:
                for earlier in plans[:number]:
                    remove_models(earlier, plans[number:])
            write_whole(job.run / CURVE_FILE, job.table())
        return job.results()


def describe_variation(job: Variation, workers: int | None = None, executor: str = LOCAL) -> str:
    """What is left to do, value by value."""
    doer, lines, total_s = make_executor(executor, workers), [], 0.0
    pace = machine_pace(show=True)
    sizes = {value: weights_bytes(value if job.key == "base" else job.recipe.base) for value in job.plans}
    for (value, plan), left in zip(job.plans.items(), left_to_do(job.plans.values()), strict=True):
        own_s = wall_clock_of(left, doer.slots, sizes[value], pace=pace)
        total_s += own_s
        state = f"{len(left)} of {len(plan)} stages left, ~{clock(own_s)}" if left else "done"
        lines.append(f"{job.key}={value:12} {state}")
    lines += ["", f"{len(job.plans)} runs, about {clock(total_s)} on {doer.place} ({rates(sizes.values(), pace)})"]
    return "\n".join(lines)
