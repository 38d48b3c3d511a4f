"""Stages that fine-tune: systems, trials, and the choice among trials."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.adaptation.stages.vectors import in_cluster
from speech_analogy.adaptation.stages.work import (
    CHOICE_FILE,
    CLUSTERS_FILE,
    FEATURES_FOLDER,
    MODEL_FOLDER,
    SCORE_FILE,
    Work,
)
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.corpora.splits import subset
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.foundation.files import write_json
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions


def training_cuts(work: Work, count: int | None = None) -> CutSet:
    """The training sets of a system, one behind the other; `count` takes a subset of the real source speech.

    `domains` keeps these alone and `cluster` one of speakers, `without` leaves these out, and `replay` is the share of
    real source speech.
    """
    cluster = work.params.get("cluster")
    belongs = None if cluster is None else in_cluster(work.read(cluster[0], CLUSTERS_FILE), cluster[1])
    domains, without = work.params.get("domains"), work.params.get("without", [])
    cuts = []
    for name, (stage, file) in work.params["sets"].items():
        part = read_cuts(work.inputs[stage] / file)
        real = name == "source_real"
        if real and "replay" in work.params:
            part = subset(part, max(1, round(work.params["replay"] * len(part))), 0)
        kept = subset(part, count, 0) if real and count is not None else part
        if belongs is not None:
            kept = [cut for cut in kept if belongs(cut, real)]
        cuts += [c for c in kept if (domains is None or domain_of(c) in domains) and domain_of(c) not in without]
    return CutSet.from_cuts(cuts)


def _options(work: Work) -> FinetuneOptions:
    """The recipe's training options, with what was chosen for this system, if anything was."""
    values = dict(work.params["training"])
    if "choice" in work.params:
        values |= work.read(work.params["choice"], CHOICE_FILE)["chosen"][work.params["searched_as"]]
    values |= work.params.get("override", {})
    values["learning_rate"] *= work.params.get("slower", 1.0)
    return FinetuneOptions.model_validate(values)


def finetune_stage(work: Work) -> None:
    """Fine-tune the base, or the model of another stage, on a system's training sets."""
    model = work.folder / MODEL_FOLDER
    start = work.model(work.params["continues"]) if "continues" in work.params else work.params["base"]
    if not model.exists():  # it does if the stage was killed between the last step and its own rename
        options = _options(work)
        remember = None
        if "remember" in work.params:
            stage, file = work.params["remember"]
            remember = read_cuts(work.inputs[stage] / file)
        finetune(training_cuts(work), start, model, options, remember=remember, **_shared(work))
    if "continues" in work.params:
        keep_base(model, start)


def _shared(work: Work) -> dict[str, Any]:
    """What every fine-tuning of a run is given; features are made once for all of them."""
    return {"description": work.name, "features": work.final.parents[1] / FEATURES_FOLDER, "progress": work.progress}


def keep_base(model: Path, start: Path) -> None:
    """A model that went on from another is still one of the base: its task vector is θ − θ_0.

    Its provenance names θ_0's fingerprint, which what it is combined with must share, and that of its start.
    """
    record, earlier = provenance(model), provenance(start)
    if "continued_from" not in record and "base_fingerprint" in earlier:
        record["continued_from"] = record["base_fingerprint"]
        write_json(model / PROVENANCE_FILE, {**record, "base_fingerprint": earlier["base_fingerprint"]})


def trial_stage(work: Work) -> None:
    """Fine-tune on a subset, score on held-out source speech, keep the score alone."""
    options, model = _options(work), work.folder / MODEL_FOLDER
    if not model.exists():
        cuts = training_cuts(work, work.params["source_utterances"])
        finetune(cuts, work.params["base"], model, options, **_shared(work))
    stage, file = work.params["dev"]
    decoding = DecodingOptions(language=options.language)
    found = evaluate(read_cuts(work.inputs[stage] / file), model, decoding=decoding, progress=work.progress)
    row = {"system": work.params["system"], "learning_rate": options.learning_rate, "epochs": options.epochs}
    work.write(SCORE_FILE, {**row, "wer": found.system.wer})
    shutil.rmtree(model)


def choice_stage(work: Work) -> None:
    """Of each system's trials take the one with the lowest WER (of equal ones the cheapest)."""
    trials = [work.read(name, SCORE_FILE) for name in work.inputs]
    chosen = {}
    for system in sorted({trial["system"] for trial in trials}):
        own = [trial for trial in trials if trial["system"] == system]
        best = min(own, key=lambda trial: (trial["wer"], trial["epochs"], trial["learning_rate"]))
        chosen[system] = {"learning_rate": best["learning_rate"], "epochs": best["epochs"]}
    work.write(CHOICE_FILE, {"chosen": chosen, "trials": trials})
