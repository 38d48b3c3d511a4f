"""Stages that write models made of finished models."""

from __future__ import annotations

from speech_analogy.adaptation.stages.work import (
    CHOICE_FILE,
    MODEL_FOLDER,
    Work,
)
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import write_merge
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.methods.registry import get_method


def analogy_stage(work: Work) -> None:
    """Write θ_D at the chosen λ as a complete model folder."""
    c, plus, minus = (work.inputs[name] / MODEL_FOLDER for name in work.params["corners"])
    scale = work.read(work.params["choice"], CHOICE_FILE)["scale"]
    analogy(c, plus, minus, scale, work.folder / MODEL_FOLDER, overwrite=True)


def mean_stage(work: Work) -> None:
    """Write the mean of several models of one base as a complete model folder."""
    models = [open_checkpoint(work.model(name)) for name in work.params["models"]]
    require_same_base(models)
    plan = MergePlan(get_method("average"), [MergeInput(model) for model in models])
    write_merge(plan, work.folder / MODEL_FOLDER, overwrite=True)
