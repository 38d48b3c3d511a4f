"""What tests of adaptation are built with: recipes, plans, stages without a run, models with other weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import torch
from lhotse import CutSet
from pydantic import Field
from safetensors.torch import load_file, save_file

from speech_analogy.adaptation.execution.protocol import EXECUTORS, LOCAL, Finished, Job
from speech_analogy.adaptation.execution.run_stage import run_stage
from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import EvaluationOptions, Recipe
from speech_analogy.adaptation.split import Split, split
from speech_analogy.adaptation.stages.controls import change_of
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER, Output, StageParams
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.evaluation.sweep import ScaleSweep
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.systems.catalogue import COMBINATIONS

RECIPE = {
    "title": "t",
    "corpus": {"kind": "folder", "path": "x"},
    "split": {"target_domains": ["b"], "field": "split", "source_dev": {"speakers": 1}},
    "synthesis": {"source": {"engines": ["hibari"]}, "target": {"engines": ["hibari"], "voices_per_text": 2}},
}
EVALUATION = EvaluationOptions(window="trimmed")
DEV = Output("split", "dev.jsonl.gz")

P = TypeVar("P", bound=StageParams)


def recipe_of(**changes: object) -> Recipe:
    """The recipe above with some of its sections replaced."""
    return Recipe.model_validate({**RECIPE, **changes})


def analogy_recipe(**changes: object) -> Recipe:
    """The same with the analogy as the only system."""
    return recipe_of(**{"systems": ["analogy"], **changes})


def plan_of_parts(recipe: Recipe, parts: Split, run: Path) -> Plan:
    """The stages of a recipe on a corpus that is divided already."""
    return Planner(recipe, run, parts, "digest", "base").plan(run)


def folders_of(recipe: Recipe, parts: Split, run: Path) -> dict[str, str]:
    """Stage name -> the folder's name, which has the hash of what the stage depends on."""
    plan = plan_of_parts(recipe, parts, run)
    return {stage.name: plan.folder(stage.name).name for stage in plan}


def analogy_plan(recipe: Recipe, cuts: CutSet, run: Path) -> tuple[Plan, Split]:
    """A corpus divided by a recipe, and the recipe's stages."""
    parts = split(cuts, recipe)
    return plan_of_parts(recipe, parts, run), parts


def work_of(folder: Path, params: P, inputs: dict[str, Path]) -> Work[P]:
    """What a stage's function is given, where no run gives it."""
    folder.mkdir(parents=True)
    return Work("stage", folder, folder, params, inputs, False)


def moved(source: Path, folder: Path, seed: int) -> Path:
    """The same model with every tensor but one moved a little."""
    shutil.copytree(source, folder)
    generator = torch.Generator().manual_seed(seed)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if not name.endswith("embed_positions.weight"):
            tensors[name] = tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def loaded(models: dict[str, Path], name: str) -> dict[str, torch.Tensor]:
    """The tensors of one of the models, in memory."""
    checkpoint = open_checkpoint(models[name])
    return {key: checkpoint[key].clone() for key in checkpoint}


def weights_of(models: dict[str, Path], system: str, scale: float, seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights that a combined system has at λ = `scale`."""
    how = COMBINATIONS[system]
    corners = [open_checkpoint(models[name]) for name in (how.c, how.plus, how.minus)]
    sweep = ScaleSweep(WhisperRecogniser(models[how.c]), *corners, change=change_of(how.direction, seed))
    state: dict[str, torch.Tensor] = sweep.move(scale + how.offset).model.state_dict()
    return {name: state[name].clone() for name in corners[0]}


def model_of(stage: str) -> Output:
    """The model that a stage makes."""
    return Output(stage, MODEL_FOLDER)


class SomeParams(StageParams):
    """A stage of no particular kind, behind others."""

    kind: ClassVar = "some"
    version: ClassVar = 1
    outputs: ClassVar = {"made": "made"}

    after: tuple[Output, ...] = Field(default=(), exclude=True)


class ModelFreeParams(SomeParams):
    """The same, where no model computes."""

    uses_a_model: ClassVar = False


def some_stage(name: str, cost_s: float, *after: Stage, params: type[SomeParams] = SomeParams) -> Stage:
    """A stage behind others."""
    return Stage(name, params(after=tuple(stage["made"] for stage in after)), cost_s)


class InThisProcess:
    """An executor that does a job where it is submitted: a worker process takes seconds to start, a stage less."""

    slots, place = 1, "this process"

    def __init__(self, slots: int | None, options: Mapping[str, str]) -> None:
        self._finished: list[Finished] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, job: Job) -> None:
        try:
            run_stage(job)
        except Exception as error:
            self._finished.append(Finished(job.stage.name, error))
        else:
            self._finished.append(Finished(job.stage.name))

    def wait(self, timeout_s: float) -> list[Finished]:
        finished, self._finished = self._finished, []
        return finished

    def cancel(self) -> None:
        self._finished.clear()


@contextmanager
def stages_in_this_process() -> Iterator[None]:
    """Runs do their stages in the test's own process, with one thread, as a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    EXECUTORS.add(LOCAL, InThisProcess)
    try:
        yield
    finally:
        EXECUTORS.remove(LOCAL)
        torch.set_num_threads(threads)
