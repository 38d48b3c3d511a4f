"""The stage that makes two models of a ready-made gap vector, so that the analogy has its B and A."""

from __future__ import annotations

import shutil

import torch

from speech_analogy.adaptation.stages.params.model_params import GapParams
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.foundation.files import link_tree
from speech_analogy.merging.vectors.gap import mean_gap
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.weights import resolve_weights


def gap_stage(work: Work[GapParams]) -> None:
    """Write θ_0 + (τ_B − τ_A) and θ_0 as model folders, in float32; with several vectors, their mean.

    Raises:
        CheckpointError: a vector of another base, or one whose contents were changed.
    """
    base = resolve_weights(work.params.base)
    plus, minus = (work.folder / output for output in GapParams.outputs.values())
    gap = mean_gap([TaskVector.load(file) for file in work.params.files])
    gap.apply(base, plus, dtype=torch.float32, overwrite=True)
    shutil.rmtree(minus, ignore_errors=True)
    link_tree(base, minus)
