"""Stages that transcribe and score, and the choice of λ by scores."""

from __future__ import annotations

from typing import Any

import torch

from speech_analogy.adaptation.recipe import EvaluationOptions, Part
from speech_analogy.adaptation.stages.scale_selection import choose_scale
from speech_analogy.adaptation.stages.work import (
    CHOICE_FILE,
    MODEL_FOLDER,
    SCORE_FILE,
    Work,
    write_evaluation,
)
from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.merging.analogy import analogy_tensors
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.loading import load_recogniser


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
        decoding=options.decoding(params["language"]),
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
