"""The whole job: from a recipe to an adapted model and `results.json`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.execution.protocol import LOCAL, make_executor
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.recipe import Recipe, load_recipe
from speech_analogy.adaptation.runs.checks import check_run
from speech_analogy.adaptation.runs.measured import measure, publish
from speech_analogy.adaptation.split import read_cuts_of, split
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import WeightsUnavailableError
from speech_analogy.evaluation.results import Results
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


def plan_of(
    recipe_path: str | Path,
    run: str | Path,
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    siblings: Iterable[Path] = (),
) -> tuple[Recipe, Plan]:
    """A recipe's stages, without doing any: reads the corpus's texts and headers, which takes seconds.

    Args:
        siblings: folders of other runs: what they have finished is taken over.

    Raises:
        ConfigError: the recipe is not right.
        DataError: its corpus is not there, or a part of it would be empty.
    """
    recipe, folder = load_recipe(recipe_path, overrides, data)
    cuts = read_cuts_of(recipe.corpus, recipe.language, folder, decode=False, progress=False)
    planner = Planner(recipe, folder, split(cuts, recipe), digest(cuts), base_key_of(recipe.base))
    return recipe, planner.plan(Path(run).resolve(), siblings)


def base_key_of(base: str) -> str:
    """The fingerprint of a base's weights; empty where they are not there.

    A plan can be looked at without its weights; doing it will say what is missing.
    """
    try:
        return fingerprint(open_checkpoint(resolve_weights(base)))
    except WeightsUnavailableError:
        return ""


def adapt(
    recipe: str | Path,
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
        recipe: a recipe.yaml, or the folder that holds one.
        out: the run's folder.
        overrides: `dotted.key=value`, the value in YAML.
        data: the corpus's path, in place of the recipe's.
        siblings: folders of other runs: what they have finished is taken over.
        executor: what does the stages; see `make_executor`.
        workers: jobs at once; None is what the executor's place has: here one process for each GPU, or without GPUs
            one of one thread for each core. It changes nothing but time.
        command: what the user typed, for the record.

    Raises:
        SpeechAnalogyError: the recipe, the corpus, the weights or the run's folder are not right.
    """
    doer = make_executor(executor, workers)
    resolved, plan = plan_of(recipe, out, overrides=overrides, data=data, siblings=siblings)
    check_run(resolved, [plan])
    results = measure(resolved, plan, Path(recipe), doer, progress=progress, command=command)
    system = results.published or resolved.publish or "analogy"
    stage = plan.stages.get(names.PUBLISHED if resolved.decides else names.model(system))
    model = None if stage is None else publish(plan, stage["model"])
    return Adaptation(plan.run, model, system, results)
