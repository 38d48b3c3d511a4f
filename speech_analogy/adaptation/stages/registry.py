"""Which function does which kind of stage; found by the type of a stage's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speech_analogy.adaptation.stages import corpus, evaluating, sweeps, training, vectors, weights
from speech_analogy.adaptation.stages.params import base, speech
from speech_analogy.adaptation.stages.params import evaluating as of_evaluating
from speech_analogy.adaptation.stages.params import training as of_training
from speech_analogy.adaptation.stages.params import weights as of_weights
from speech_analogy.adaptation.stages.work import Work

FUNCTIONS: dict[type[base.StageParams], Callable[[Work[Any]], None]] = {
    speech.CorpusParams: corpus.corpus_stage,
    speech.SplitParams: corpus.split_stage,
    speech.TextsParams: corpus.texts_stage,
    speech.TargetSplitParams: corpus.split_stage,
    speech.TargetTextsParams: corpus.texts_stage,
    speech.ChannelParams: corpus.channel_stage,
    speech.SynthesisParams: corpus.synthesis_stage,
    speech.SpeechParams: corpus.speech_stage,
    speech.JoinedParams: corpus.joined_stage,
    of_training.FinetuneParams: training.finetune_stage,
    of_training.TrialParams: training.trial_stage,
    of_training.ChoiceParams: training.choice_stage,
    of_evaluating.EvaluateParams: evaluating.evaluate_stage,
    of_evaluating.ScaleParams: evaluating.scale_stage,
    of_evaluating.SweepParams: sweeps.sweep_stage,
    of_evaluating.PickParams: sweeps.pick_stage,
    of_evaluating.ScopesParams: sweeps.scopes_stage,
    of_evaluating.CombinedParams: sweeps.combined_stage,
    of_weights.ClustersParams: vectors.clusters_stage,
    of_weights.VectorsParams: vectors.vectors_stage,
    of_weights.AnalogyParams: weights.analogy_stage,
    of_weights.MeanParams: weights.mean_stage,
    of_weights.WrittenParams: weights.written_stage,
    of_weights.ByAdapterParams: weights.by_adapter_stage,
}


def do(work: Work[Any]) -> None:
    """Do the work that its parameters describe."""
    FUNCTIONS[type(work.params)](work)
