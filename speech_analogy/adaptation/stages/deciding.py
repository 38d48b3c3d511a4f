"""Stages of stand-in domains: dividing the source for each, evaluating candidates, deciding, writing the model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from speech_analogy.adaptation.split import write_texts
from speech_analogy.adaptation.stages.params.base import CHOICE_FILE, MODEL_FOLDER, TEXTS_FILE
from speech_analogy.adaptation.stages.params.stand_in_params import (
    DECISION_FILE,
    NONE_ASKED_FOR,
    SCORES_FILE,
    DecidedParams,
    DecisionParams,
    PublishedParams,
    StandInParams,
    SumsParams,
)
from speech_analogy.adaptation.stages.work import Work, write_evaluation
from speech_analogy.adaptation.standing_in import known_speaker
from speech_analogy.corpora.cuts import text_of
from speech_analogy.corpora.read import write_cuts
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import System
from speech_analogy.evaluation.stand_in_estimate import (
    BEST_ELSEWHERE,
    CandidateScore,
    Estimate,
    StandInScores,
    candidates_of,
    decide,
    mean_log_wer,
)
from speech_analogy.evaluation.sums import evaluate_sums
from speech_analogy.export import transformers_folder
from speech_analogy.foundation.files import whole_folder
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import write_merge
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.scope import Setting
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.systems.catalogue import BASE
from speech_analogy.systems.sums import shares_of, takes_scale

ZERO_SHOT, ANALOGY = "zero_shot", "analogy"


def stand_in_stage(work: Work[StandInParams]) -> None:
    """Divide the source for one stand-in."""
    params, stand_in = work.params, work.params.stand_in
    cuts = list(work.cuts(params.real))
    source, test = stand_in.source(cuts), stand_in.test(cuts, params.seed)
    if not len(source) or not len(test):
        side = "source" if not len(source) else "recordings of its own"
        raise DataError(f"the stand-in domain leaves no {side}", field="stand_ins", value=stand_in.label)
    left = {text_of(cut).casefold() for cut in source}
    parts = {
        "source_real": source,
        "source_synthetic": stand_in.synthetic(work.cuts(params.synthetic), left),
        "test": test,
    }
    for name, part in parts.items():
        write_cuts(part, work.folder / params.outputs[name], overwrite=True)
    write_texts(stand_in.spoken, work.folder / TEXTS_FILE)


def sums_stage(work: Work[SumsParams]) -> None:
    """Errors of every candidate on a stand-in's recordings, and of the base."""
    params, cuts = work.params, work.cuts(work.params.cuts)
    points = [
        (system, scale, shares_of(system, 1.0 if scale is None else scale))
        for system in params.systems
        for scale in (params.scales if takes_scale(system) else (None,))
    ]
    found = evaluate_sums(
        cuts,
        _models(work, {name for _, _, shares in points for name in shares}),
        points,
        decoding=params.evaluation.decoding(params.language),
        cluster=params.evaluation.cluster,
        progress=work.progress,
    )
    untouched = System(**work.read(params.zero_shot)["system"])
    speakers = {known_speaker(cut) for cut in cuts} - {None}
    scores = StandInScores(
        label=params.label,
        kind=params.group,
        texts=params.texts,
        utterances=found[0].system.utterances,
        speakers=len(speakers) or None,
        words=found[0].system.words,
        unseen_speakers=params.unseen_speakers,
        scores=[
            _row(untouched, ZERO_SHOT, None),
            *(_row(one.system, system, scale) for one, (system, scale, _) in zip(found, points, strict=True)),
        ],
    )
    work.write(SCORES_FILE, scores.model_dump(mode="json"))


def _row(score: System, system: str, scale: float | None) -> CandidateScore:
    errors = score.substitutions + score.deletions + score.insertions
    return CandidateScore(system=system, scale=scale, errors=errors, loops=score.over_100)


def _models(work: Work[SumsParams] | Work[DecidedParams] | Work[PublishedParams], wanted: set[str]) -> dict[str, Path]:
    """The folders of the models of a sum; a tuned one is first where there is any, whose window serves."""
    found = {name: work.path(output) for name, output in work.params.models.items() if name in wanted}
    if BASE in wanted:
        assert work.params.base is not None, f"{work.name}: the base is not named"
        found[BASE] = resolve_weights(work.params.base)
    return found


def decision_stage(work: Work[DecisionParams]) -> None:
    """Decide by the stand-ins; `choice.json` holds the analogy's λ in the form of every other choice of one."""
    params = work.params
    scores = [StandInScores.model_validate(work.read(one)) for one in params.scores]
    if scores:
        estimate = decide(scores, params.usual, params.systems)
        if params.short:
            estimate = estimate.model_copy(update={"why": f"{estimate.why}; {params.short}"})
    else:
        estimate = undecided(params.usual, params.systems, params.fixed, params.short)
    work.write(DECISION_FILE, estimate.model_dump(mode="json"))
    curve = [
        {"scale": scale, "wer": 100 * math.exp(mean_log_wer(scores, (system, scale)))}
        for system, scale in (candidates_of(scores) if scores else ())
        if system == ANALOGY and scale is not None
    ]
    on = "; ".join(f"{one.label}: {one.utterances} utterances" for one in scores)
    on = f"stand-in domains: {on}" if on else "nothing: there was no stand-in domain"
    work.write(CHOICE_FILE, {"scale": estimate.scales.get(ANALOGY, params.fixed), "curve": curve, "chosen_on": on})


def undecided(usual: str, systems: Sequence[str], fixed: float, short: str = "") -> Estimate:
    """The usual system at the usual λ, where no stand-in says otherwise; `short` says why there is none."""
    scales = {system: fixed for system in systems if takes_scale(system)}
    reason = "no stand-in domain was asked for" if short == NONE_ASKED_FOR else short
    why = f"{BEST_ELSEWHERE}, and {reason or 'there was no stand-in domain'}"
    return Estimate(system=usual, scale=scales.get(usual), scales=scales, why=why, gained=True, stand_ins=[])


def published_stage(work: Work[PublishedParams]) -> None:
    """Write the model of the system that was decided on."""
    decision = _decision(work)
    write_sum(decision.system, decision.scale, work, work.folder / MODEL_FOLDER)


def write_sum(system: str, scale: float | None, work: Work[PublishedParams], out: Path) -> None:
    """A system's model as a complete folder: a copy where it is one model as it stands, else their sum."""
    shares = shares_of(system, 1.0 if scale is None else scale)
    models = _models(work, set(shares))
    if list(shares.values()) == [1.0]:
        (folder,) = models.values()
        with whole_folder(out, overwrite=True) as building:
            transformers_folder.write(folder, building)
        return
    opened = {name: open_checkpoint(path) for name, path in models.items()}
    require_same_base(list(opened.values()))
    inputs = [MergeInput(opened[name], settings={"weight": Setting.parse(shares[name], "weight")}) for name in opened]
    settings = {"normalize": Setting.parse(False, "normalize")}
    plan = MergePlan(get_method("linear"), inputs, settings=settings)
    write_merge(plan, out, overwrite=True, description={"system": system, "scale": scale, "weights": shares})


def decided_stage(work: Work[DecidedParams]) -> None:
    """Transcribe and score a part with a sum of models, at the λ that the stand-ins chose for it.

    Where that is the published model, what is found of it is copied: the same model is transcribed with once.
    """
    params, decision = work.params, _decision(work)
    scale = decision.scales.get(params.system)
    copied = (params.published_score, params.published_hypotheses)
    if (params.system, scale) == (decision.system, decision.scale) and None not in copied:
        for output in filter(None, copied):
            shutil.copyfile(work.path(output), work.folder / output.file)
        return
    shares = shares_of(params.system, 1.0 if scale is None else scale)
    (found,) = evaluate_sums(
        work.cuts(params.cuts),
        _models(work, set(shares)),
        [(params.system, scale, shares)],
        decoding=params.evaluation.decoding(params.language),
        cluster=params.evaluation.cluster,
        progress=work.progress,
    )
    write_evaluation(found, work.folder)


def _decision(work: Work[DecidedParams] | Work[PublishedParams]) -> Estimate:
    return Estimate.model_validate(work.read(work.params.decision))
