"""Stages that transcribe and score, in our decoder and in others, and the choice of λ by scores."""

from __future__ import annotations

from typing import Any

import torch
from lhotse import CutSet

from speech_analogy.adaptation.stages.params.base import CHOICE_FILE, DECODERS_FILE, Corner, Output
from speech_analogy.adaptation.stages.params.evaluation_params import EvaluateParams, InDecodersParams, ScaleParams
from speech_analogy.adaptation.stages.scale_selection import choose_scale
from speech_analogy.adaptation.stages.work import Work, write_evaluation
from speech_analogy.corpora.splits import ranked
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.export.other_decoders import in_other_decoders
from speech_analogy.merging.analogy import analogy_tensors
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import Recogniser

PART_IN_WORDS = {"source_dev": "held-out source speech", "target_dev": "held-out target recordings"}


def evaluate_stage(work: Work[EvaluateParams]) -> None:
    """Transcribe a part with a trained model, the base, or θ_C + λ(θ_B − θ_A) put together in memory."""
    params = work.params
    found = evaluate(
        work.cuts(params.cuts),
        _recogniser(work),
        name=params.system,
        scale=params.scale,
        decoding=params.evaluation.decoding(params.language),
        cluster=params.evaluation.cluster,
        progress=work.progress,
    )
    write_evaluation(found, work.folder)


def in_decoders_stage(work: Work[InDecodersParams]) -> None:
    """Transcribe some of a part with one model in other decoders and in ours, and compare."""
    params = work.params
    cuts = {cut.id: cut for cut in work.cuts(params.cuts)}
    some = CutSet.from_cuts(cuts[identity] for identity in ranked(cuts.keys(), params.seed)[: params.utterances])
    rows = in_other_decoders(
        work.path(params.model),
        some,
        params.decoders,
        language=params.language,
        cluster=params.cluster,
        progress=work.progress,
    )
    work.write(DECODERS_FILE, [row.record.model_dump() for row in rows])


def _recogniser(work: Work[EvaluateParams]) -> Recogniser:
    params = work.params
    where: dict[str, Any] = {
        "language": params.language,
        "device": find_device(backend=params.evaluation.backend),
    }
    if params.model is not None:
        return load_recogniser(work.path(params.model), **where)
    if params.corners is None:
        assert params.base is not None, f"{work.name} has no model"
        return load_recogniser(params.base, **where)
    assert params.scale is not None, f"{work.name} has no λ"
    c, plus, minus = (work.path(_made(corner)) for corner in params.corners)
    recogniser = load_recogniser(c, **where)
    moved = dict(analogy_tensors(open_checkpoint(c), open_checkpoint(plus), open_checkpoint(minus), params.scale))
    with torch.no_grad():
        for name, parameter in recogniser.model.state_dict().items():
            if name in moved:
                parameter.copy_(moved[name])
    return recogniser


def _made(corner: Corner) -> Output:
    assert corner is not None, "the analogy's corners are trained"
    return corner


def scale_stage(work: Work[ScaleParams]) -> None:
    """Choose λ by the held-out parts' curves."""
    curves: dict[str, dict[float, float]] = {}
    utterances: dict[str, int] = {}
    for score, part in work.params.parts:
        system = work.read(score)["system"]
        curves.setdefault(part, {})[system["scale"]] = system["wer"]
        utterances.setdefault(part, system["utterances"])
    scale, curve = choose_scale(curves)
    on = "; ".join(f"{PART_IN_WORDS[part]}: {utterances[part]} utterances" for part in curves)
    work.write(CHOICE_FILE, {"scale": scale, "curve": [point.model_dump() for point in curve], "chosen_on": on})
