"""Stages that write models made of finished models."""

from __future__ import annotations

import shutil
from typing import Any

from lhotse import CutSet

from speech_analogy.adaptation.stages.moving import corner_path, lambda_of, moved
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER
from speech_analogy.adaptation.stages.params.model_params import (
    AnalogyParams,
    ByAdapterParams,
    MeanParams,
    WidenedParams,
    WrittenParams,
)
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.corpora.splits import subset
from speech_analogy.export import transformers_folder
from speech_analogy.foundation.files import whole_folder
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import write_merge
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.vectors.lora import combine_adapters
from speech_analogy.recognisers.families import family_of, native_window
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.training.distilling.options import WidenOptions
from speech_analogy.training.distilling.widen import widen
from speech_analogy.training.publish import ADAPTER_FOLDER


def analogy_stage(work: Work[AnalogyParams]) -> None:
    """Write θ_D at the chosen λ as a complete model folder."""
    c, plus, minus = (work.path(corner) for corner in work.params.corners)
    scale = work.read(work.params.choice)["scale"]
    analogy(c, plus, minus, scale, work.folder / MODEL_FOLDER, overwrite=True)


def widened_stage(work: Work[WidenedParams]) -> None:
    """The model in 30 s windows as in its own; as it is where it was tuned in them, or knows no other."""
    params, model, out = work.params, work.path(work.params.model), work.folder / MODEL_FOLDER
    if native_window(model) == "full" or not family_of(model).can_be_shortened:
        with whole_folder(out, overwrite=True) as building:
            transformers_folder.write(model, building)
        return
    each, more = divmod(params.widen.utterances, len(params.sets))
    chosen: list[Any] = []
    for number, output in enumerate(params.sets.values()):
        part = work.cuts(output)
        chosen += subset(part, min(len(part), each + (number < more)), params.seed)
    settings = params.widen.model_dump(exclude={"utterances"})
    options = WidenOptions(**settings, seed=params.seed, language=params.language)
    shutil.rmtree(out, ignore_errors=True)
    widen(model, CutSet.from_cuts(chosen), out, options, progress=work.progress)


def mean_stage(work: Work[MeanParams]) -> None:
    """Write the mean of several models of one base as a complete model folder."""
    models = [open_checkpoint(work.path(model)) for model in work.params.models]
    require_same_base(models)
    plan = MergePlan(get_method("average"), [MergeInput(model) for model in models])
    write_merge(plan, work.folder / MODEL_FOLDER, overwrite=True)


def written_stage(work: Work[WrittenParams]) -> None:
    """Write a system that is put together of finished models as a complete model folder, at the λ chosen for it."""
    params = work.params
    c, plus, minus = (corner_path(work, corner, params.base) for corner in params.corners)
    scale = moved(*lambda_of(work, params.scale, params.choice), params.offset)
    analogy(c, plus, minus, scale, work.folder / MODEL_FOLDER, overwrite=True)


def by_adapter_stage(work: Work[ByAdapterParams]) -> None:
    """Write θ_0 + s(U_C + λ(U_B − U_A))(D_C + λ(D_B − D_A)): LoRA's factors U, D each take the analogy.

    The other systems merge the products UD; A, B and C must have adapters of one rank.
    """
    scale = float(work.read(work.params.choice)["scale"])
    adapters = [work.path(corner) / ADAPTER_FOLDER for corner in work.params.corners]
    base = resolve_weights(work.params.base)
    vector = combine_adapters(adapters, (1.0, scale, -scale), base)
    vector.apply(base, work.folder / MODEL_FOLDER, overwrite=True)
