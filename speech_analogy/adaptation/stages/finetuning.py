"""Stages that fine-tune: systems, trials, and the choice among trials."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.adaptation.stages.params.base import CHOICE_FILE, MODEL_FOLDER, SCORE_FILE
from speech_analogy.adaptation.stages.params.training_params import ChoiceParams, FinetuneParams, TrialParams
from speech_analogy.adaptation.stages.vectors import in_cluster
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.cards.records import CARD_FILE, write_record_card
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.corpora.splits import subset
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.foundation.files import write_json
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions

REAL_SOURCE = "source_real"  # the training set of which a share or a subset can be taken


def training_cuts(work: Work[FinetuneParams]) -> CutSet:
    """The training sets of a system, one behind the other.

    `domains` keeps these alone and `cluster` one of speakers, `without` leaves these out, and `replay` is the share of
    real source speech.
    """
    params = work.params
    belongs = None
    if params.cluster is not None:
        clusters, number = params.cluster
        belongs = in_cluster(work.read(clusters), number)
    cuts: list[Any] = []
    for name, output in params.sets.items():
        part, real = work.cuts(output), name == REAL_SOURCE
        if real and params.replay is not None:
            part = subset(part, max(1, round(params.replay * len(part))), 0)
        cuts += [cut for cut in part if belongs is None or belongs(cut, real)]
    kept = params.domains
    left_out = params.without or ()
    return CutSet.from_cuts(c for c in cuts if (kept is None or domain_of(c) in kept) and domain_of(c) not in left_out)


def _trial_cuts(work: Work[TrialParams]) -> CutSet:
    """The training sets of a system, of its real source speech a subset."""
    cuts: list[Any] = []
    for name, output in work.params.sets.items():
        part = work.cuts(output)
        cuts += subset(part, work.params.source_utterances, 0) if name == REAL_SOURCE else part
    return CutSet.from_cuts(cuts)


def _options(work: Work[FinetuneParams] | Work[TrialParams], **override: Any) -> FinetuneOptions:
    """The recipe's training options, with what was chosen for this system, if anything was."""
    params = work.params
    values = {name: getattr(params.training, name) for name in type(params.training).model_fields}
    if params.choice is not None:
        values |= work.read(params.choice)["chosen"][params.searched_as]
    return FinetuneOptions.model_validate(values | override)


def finetune_stage(work: Work[FinetuneParams]) -> None:
    """Fine-tune the base, or the model of another stage, on a system's training sets."""
    params, model = work.params, work.folder / MODEL_FOLDER
    start = params.base if params.continues is None else work.path(params.continues)
    if not model.exists():  # it does if the stage was killed between the last step and its own rename
        options = _options(work)
        if params.slower is not None:
            options = options.model_copy(update={"learning_rate": options.learning_rate * params.slower})
        remember = None if params.remember is None else work.cuts(params.remember)
        finetune(training_cuts(work), start, model, options, remember=remember, **_shared(work))
    if isinstance(start, Path):
        keep_base(model, start)


def _shared(work: Work[FinetuneParams] | Work[TrialParams]) -> dict[str, Any]:
    """What every fine-tuning of a run is given; features are made once for all of them."""
    return {"description": work.name, "features": work.features, "progress": work.progress}


def keep_base(model: Path, start: Path) -> None:
    """A model that went on from another is still one of the base: its task vector is θ − θ_0.

    Its provenance names θ_0's fingerprint, which what it is combined with must share, and that of its start.
    """
    record, earlier = provenance(model), provenance(start)
    if "continued_from" not in record and "base_fingerprint" in earlier:
        record["continued_from"] = record["base_fingerprint"]
        write_json(model / PROVENANCE_FILE, {**record, "base_fingerprint": earlier["base_fingerprint"]})
        (model / CARD_FILE).unlink(missing_ok=True)
        write_record_card(model)


def trial_stage(work: Work[TrialParams]) -> None:
    """Fine-tune on a subset, score on held-out source speech, keep the score alone."""
    params, model = work.params, work.folder / MODEL_FOLDER
    options = _options(work, **params.override)
    if not model.exists():
        finetune(_trial_cuts(work), params.base, model, options, **_shared(work))
    # In one pass: a rate that makes the model loop shall pay for it, and earlier trials stay valid.
    decoding = DecodingOptions(language=options.language, fallback=False)
    found = evaluate(work.cuts(params.dev), model, decoding=decoding, progress=work.progress)
    row = {"system": params.system, "learning_rate": options.learning_rate, "epochs": options.epochs}
    work.write(SCORE_FILE, {**row, "wer": found.system.wer})
    shutil.rmtree(model)


def choice_stage(work: Work[ChoiceParams]) -> None:
    """Of each system's trials take the one with the lowest WER (of equal ones the cheapest)."""
    trials = [work.read(score) for score in work.params.trials]
    chosen = {}
    for system in sorted({trial["system"] for trial in trials}):
        own = [trial for trial in trials if trial["system"] == system]
        best = min(own, key=lambda trial: (trial["wer"], trial["epochs"], trial["learning_rate"]))
        chosen[system] = {"learning_rate": best["learning_rate"], "epochs": best["epochs"]}
    work.write(CHOICE_FILE, {"chosen": chosen, "trials": trials})
