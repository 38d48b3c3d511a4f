"""What is done: one function a kind of stage, from the folders it reads to the folder it fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from speech_analogy.adaptation.stages.corpus import (
    channel_stage,
    corpus_stage,
    split_stage,
    synthesis_stage,
    texts_stage,
)
from speech_analogy.adaptation.stages.evaluating import evaluate_stage, scale_stage
from speech_analogy.adaptation.stages.sweeps import (
    by_adapter_stage,
    combined_stage,
    pick_stage,
    scopes_stage,
    sweep_stage,
    written_stage,
)
from speech_analogy.adaptation.stages.training import choice_stage, finetune_stage, trial_stage
from speech_analogy.adaptation.stages.vectors import clusters_stage, vectors_stage
from speech_analogy.adaptation.stages.weights import analogy_stage, mean_stage
from speech_analogy.adaptation.stages.work import (
    Work,
)


@dataclass(frozen=True)
class Kind:
    """How a kind of stage is done. Raise `version` when what comes out changes."""

    version: int
    function: Callable[[Work], None]


KINDS: dict[str, Kind] = {
    "corpus": Kind(1, corpus_stage),
    "split": Kind(2, split_stage),
    "texts": Kind(1, texts_stage),
    "channel": Kind(1, channel_stage),
    "synthesis": Kind(1, synthesis_stage),
    "finetune": Kind(4, finetune_stage),
    "trial": Kind(4, trial_stage),
    "choice": Kind(1, choice_stage),
    "evaluate": Kind(4, evaluate_stage),
    "scale": Kind(1, scale_stage),
    "analogy": Kind(1, analogy_stage),
    "sweep": Kind(2, sweep_stage),
    "pick": Kind(1, pick_stage),
    "scopes": Kind(2, scopes_stage),
    "combined": Kind(2, combined_stage),
    "clusters": Kind(1, clusters_stage),
    "by_adapter": Kind(1, by_adapter_stage),
    "vectors": Kind(1, vectors_stage),
    "mean": Kind(1, mean_stage),
    "written": Kind(1, written_stage),
}
VERSIONS = {name: kind.version for name, kind in KINDS.items()}
