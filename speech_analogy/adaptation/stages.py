"""What is done: one function a kind of stage, from the folders it reads to the folder it fills."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lhotse import CutSet

from data_synth.channel import ChannelOptions
from data_synth.channel_cuts import channel_cuts
from data_synth.gpus import gpus_of
from data_synth.synthesize import SynthesisOptions, synthesize
from speech_analogy.adaptation.data import Split, read_cuts_of, read_texts, split, texts_of, write_parts, write_texts
from speech_analogy.adaptation.scale_selection import choose_scale
from speech_analogy.adaptation.several import CLUSTERS_FILE, clusters_stage, in_cluster, vectors_stage
from speech_analogy.adaptation.sweeps import (
    by_adapter_stage,
    combined_stage,
    pick_stage,
    scopes_stage,
    sweep_stage,
    written_stage,
)
from speech_analogy.adaptation.work import (
    CHOICE_FILE,
    CUTS_FILE,
    FEATURES_FOLDER,
    MODEL_FOLDER,
    SCORE_FILE,
    TEXTS_FILE,
    Work,
    write_evaluation,
)
from speech_analogy.config import CorpusOptions, EvaluationOptions, Part, Recipe
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.corpora.read import read_cuts, write_cuts
from speech_analogy.corpora.splits import subset
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.merging.checkpoints import PROVENANCE_FILE, open_checkpoint
from speech_analogy.merging.combine import analogy, analogy_tensors, require_same_base
from speech_analogy.merging.merge import write_merge
from speech_analogy.merging.merger import MergeInput, MergePlan
from speech_analogy.merging.methods import get_method
from speech_analogy.merging.publish import write_json
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.protocol import load_recogniser, provenance
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions


def corpus_stage(work: Work) -> None:
    """Read the corpus: every usable utterance."""
    corpus, folder = CorpusOptions.model_validate(work.params["corpus"]), Path(work.params["folder"])
    cuts = read_cuts_of(corpus, work.params["language"], folder, progress=work.progress)
    write_cuts(cuts, work.folder / CUTS_FILE, overwrite=True)


def split_stage(work: Work) -> None:
    """Divide the corpus and write its parts."""
    write_parts(_split(work), work.folder)


def texts_stage(work: Work) -> None:
    """Write the texts that C speaks."""
    write_texts(_split(work).target_texts, work.folder / TEXTS_FILE)


def _split(work: Work) -> Split:
    return split(read_cuts(work.inputs["corpus"] / CUTS_FILE), Recipe.model_validate(work.params["recipe"]))


def channel_stage(work: Work) -> None:
    """Send one part of the real speech through the recipe's channel."""
    cuts = read_cuts(work.inputs["split"] / f"{work.params['part']}.jsonl.gz")
    options = ChannelOptions.model_validate(work.params["options"])
    channel_cuts(
        cuts,
        work.folder,
        options,
        work.params["seed"],
        work.params["copies"],
        progress=work.progress,
        clips_root=work.final,
    )


def synthesis_stage(work: Work) -> None:
    """Speak the texts of one side: every source utterance's text for A, every distinct target text for C."""
    if work.params["side"] == "source":
        texts = texts_of(read_cuts(work.inputs["split"] / "source_train.jsonl.gz"))
    else:
        texts = read_texts(work.inputs["texts"] / TEXTS_FILE)
    options = SynthesisOptions.model_validate(work.params["options"])
    if not gpus_of(options.engines):
        options = options.model_copy(update={"workers": max(options.workers, torch.get_num_threads())})
    synthesize(texts, work.folder, options, progress=work.progress, clips_root=work.final)


def _training_cuts(work: Work, count: int | None = None) -> CutSet:
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
        finetune(_training_cuts(work), start, model, options, remember=remember, **_shared(work))
    if "continues" in work.params:
        _keep_base(model, start)


def _shared(work: Work) -> dict[str, Any]:
    """What every fine-tuning of a run is given; features are made once for all of them."""
    return {"description": work.name, "features": work.final.parents[1] / FEATURES_FOLDER, "progress": work.progress}


def _keep_base(model: Path, start: Path) -> None:
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
        cuts = _training_cuts(work, work.params["source_utterances"])
        finetune(cuts, work.params["base"], model, options, **_shared(work))
    stage, file = work.params["dev"]
    found = evaluate(read_cuts(work.inputs[stage] / file), model, language=options.language, progress=work.progress)
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


def evaluate_stage(work: Work) -> None:
    """Transcribe a part with a trained model, the base, or θ_C + λ(θ_B − θ_A) put together in memory."""
    params, options = work.params, EvaluationOptions.model_validate(work.params["evaluation"])
    stage, file = params["cuts"]
    where: dict[str, Any] = {"language": params["language"], "device": find_device(backend=options.backend)}
    if "corners" in params:
        c, plus, minus = (work.inputs[name] / MODEL_FOLDER for name in params["corners"])
        recogniser = load_recogniser(c, **where)
        moved = dict(
            analogy_tensors(open_checkpoint(c), open_checkpoint(plus), open_checkpoint(minus), params["scale"])
        )
        with torch.no_grad():
            for name, parameter in recogniser.model.state_dict().items():
                if name in moved:
                    parameter.copy_(moved[name])
    elif "model" in params:
        recogniser = load_recogniser(work.inputs[params["model"]] / MODEL_FOLDER, **where)
    else:
        recogniser = load_recogniser(params["base"], **where)
    found = evaluate(
        read_cuts(work.inputs[stage] / file),
        recogniser,
        name=params["system"],
        scale=params.get("scale"),
        window=options.window,
        beams=options.beams,
        backend=options.backend,
        compute=options.compute,
        language=params["language"],
        cluster=options.cluster,
        progress=work.progress,
    )
    write_evaluation(found, work.folder)


def scale_stage(work: Work) -> None:
    """Choose λ by the held-out parts' curves."""
    curves: dict[str, dict[float, float]] = {}
    for name in work.inputs:
        system = work.read(name, SCORE_FILE)["system"]
        curves.setdefault(work.params["parts"][name], {})[system["scale"]] = system["wer"]
    scale, curve = choose_scale(curves)
    heard: dict[Part, str] = {"source_dev": "held-out source speech", "target_dev": "held-out target recordings"}
    on = []
    for part in curves:
        name = next(name for name in work.inputs if work.params["parts"][name] == part)
        on.append(f"{heard[part]}: {work.read(name, SCORE_FILE)['system']['utterances']} utterances")  # type: ignore[index]
    points = [point.model_dump() for point in curve]
    work.write(CHOICE_FILE, {"scale": scale, "curve": points, "chosen_on": "; ".join(on)})


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
