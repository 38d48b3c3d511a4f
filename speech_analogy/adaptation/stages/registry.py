"""Which function does which kind of stage; found by the type of a stage's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speech_analogy.adaptation.stages import corpus, deciding, evaluation, finetuning, gap, made_models, sweeps, vectors
from speech_analogy.adaptation.stages.params import (
    base,
    evaluation_params,
    model_params,
    speech_params,
    stand_in_params,
    training_params,
)
from speech_analogy.adaptation.stages.work import Work

FUNCTIONS: dict[type[base.StageParams], Callable[[Work[Any]], None]] = {
    speech_params.CorpusParams: corpus.corpus_stage,
    speech_params.SplitParams: corpus.split_stage,
    speech_params.TextsParams: corpus.texts_stage,
    speech_params.TargetSplitParams: corpus.split_stage,
    speech_params.TargetTextsParams: corpus.texts_stage,
    speech_params.SourceSplitParams: corpus.source_split_stage,
    speech_params.GivenTextsParams: corpus.given_texts_stage,
    speech_params.UnlabelledParams: corpus.unlabelled_stage,
    speech_params.ChannelParams: corpus.channel_stage,
    speech_params.SynthesisParams: corpus.synthesis_stage,
    speech_params.SpeechParams: corpus.speech_stage,
    speech_params.JoinedParams: corpus.joined_stage,
    training_params.FinetuneParams: finetuning.finetune_stage,
    training_params.TrialParams: finetuning.trial_stage,
    training_params.ChoiceParams: finetuning.choice_stage,
    evaluation_params.EvaluateParams: evaluation.evaluate_stage,
    evaluation_params.InDecodersParams: evaluation.in_decoders_stage,
    evaluation_params.ScaleParams: evaluation.scale_stage,
    evaluation_params.SweepParams: sweeps.sweep_stage,
    evaluation_params.PickParams: sweeps.pick_stage,
    evaluation_params.ScopesParams: sweeps.scopes_stage,
    evaluation_params.CombinedParams: sweeps.combined_stage,
    model_params.ClustersParams: vectors.clusters_stage,
    model_params.VectorsParams: vectors.vectors_stage,
    model_params.GapParams: gap.gap_stage,
    model_params.AnalogyParams: made_models.analogy_stage,
    model_params.WidenedParams: made_models.widened_stage,
    model_params.MeanParams: made_models.mean_stage,
    model_params.WrittenParams: made_models.written_stage,
    model_params.ByAdapterParams: made_models.by_adapter_stage,
    stand_in_params.StandInParams: deciding.stand_in_stage,
    stand_in_params.SumsParams: deciding.sums_stage,
    stand_in_params.DecisionParams: deciding.decision_stage,
    stand_in_params.PublishedParams: deciding.published_stage,
    stand_in_params.DecidedParams: deciding.decided_stage,
}


def do(work: Work[Any]) -> None:
    """Do the work that its parameters describe."""
    FUNCTIONS[type(work.params)](work)
