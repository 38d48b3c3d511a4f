"""Stages that transcribe with weights moved in memory: curves over λ, the choice of a λ, systems of finished models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lhotse import CutSet

from speech_analogy.adaptation.stages.controls import change_of
from speech_analogy.adaptation.stages.moving import corner_path, lambda_of, moved, scoped
from speech_analogy.adaptation.stages.params.base import CHOICE_FILE, CURVE_FILE
from speech_analogy.adaptation.stages.params.evaluation_params import (
    CombinedParams,
    PickParams,
    ScopesParams,
    SweepParams,
)
from speech_analogy.adaptation.stages.scale_selection import choose_scale, most_agreed, search_scopes
from speech_analogy.adaptation.stages.work import Work, write_evaluation
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import Evaluation, evaluate
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.results import ScalePoint
from speech_analogy.evaluation.sweep import ScaleSweep, evaluate_scales
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.merging.arithmetic import Scale
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.recognisers.loading import load_recogniser

CHOSEN_ON = {"agreement": "agreement on ", "leave_one_domain_out": "source domains as the target: "}


def sweep_stage(work: Work[SweepParams]) -> None:
    """Transcribe a part with every λ of a grid: `curve.json` holds WER and normalised hypotheses of each."""
    scales = work.params.scales
    if work.params.unlabelled:
        heard = zip(scales, _heard(work), strict=True)
        work.write(CURVE_FILE, [{"scale": scale, "wer": None, "heard": texts} for scale, texts in heard])
        return
    found = _transcribe(work, _cuts(work), [moved(scale, None, work.params.offset) for scale in scales])
    rows = [
        {
            "scale": scale,
            "wer": one.system.wer,
            "heard": [row.hypothesis_normalised for row in one.hypotheses],
        }
        for scale, one in zip(scales, found, strict=True)
    ]
    work.write(CURVE_FILE, rows)


def pick_stage(work: Work[PickParams]) -> None:
    """Choose a λ: the one that was given, the one with the lowest WER, or the one that agrees most."""
    params = work.params
    if params.strategy == "fixed":
        work.write(CHOICE_FILE, {"scale": params.scale, "curve": [], "chosen_on": "nothing: it was given"})
        return
    curves = {label: work.read(curve) for curve, label in params.sweeps or ()}
    scale: float
    points: list[ScalePoint]
    if params.strategy == "agreement":
        (rows,) = curves.values()
        scale, points = most_agreed({row["scale"]: row["heard"] for row in rows})
    else:
        scale, points = choose_scale({label: {row["scale"]: row["wer"] for row in curves[label]} for label in curves})
    on = "; ".join(f"{label}: {len(rows[0]['heard'])} utterances" for label, rows in curves.items())
    on = CHOSEN_ON.get(params.strategy, "") + on
    work.write(CHOICE_FILE, {"scale": scale, "curve": [point.model_dump() for point in points], "chosen_on": on})


def scopes_stage(work: Work[ScopesParams]) -> None:
    """Choose a λ for each scope by coordinate search on held-out speech, from the analogy's λ on."""
    params = work.params
    start = work.read(params.start)["scale"]
    parts = [work.cuts(part) for part in params.parts]

    def wer_of(candidates: Sequence[Mapping[str, float]]) -> list[float]:
        tried = [scoped(candidate, start) for candidate in candidates]
        found = [_transcribe(work, cuts, tried) for cuts in parts]
        return [sum(part[at].system.wer for part in found) / len(found) for at in range(len(tried))]

    scopes, trace = search_scopes(wer_of, params.scopes, params.scales, start, params.rounds)
    work.write(CHOICE_FILE, {"scale": start, "scopes": scopes, "trace": trace})


def combined_stage(work: Work[CombinedParams]) -> None:
    """Transcribe and score a part with a system that is put together in memory, at the λ that was chosen for it."""
    params = work.params
    scale, scopes = lambda_of(work, params.scale, params.choice)
    (found,) = _transcribe(work, work.cuts(params.cuts), [moved(scale, scopes, params.offset)])
    shown = {"scale": None, "scopes": scopes} if scopes else {"scale": scale}
    write_evaluation(
        Evaluation(found.system.model_copy(update=shown), found.hypotheses, found.dropped_empty_references),
        work.folder,
    )


def _transcribe(
    work: Work[SweepParams] | Work[ScopesParams] | Work[CombinedParams], cuts: CutSet, scales: Sequence[Scale]
) -> list[Evaluation]:
    """The part with the system at each λ; audio and features are read once where torch decodes."""
    params = work.params
    c, plus, minus = (corner_path(work, corner, params.base) for corner in params.corners)
    control = isinstance(params, CombinedParams) and params.direction
    change = change_of(control or "difference", (isinstance(params, CombinedParams) and params.seed) or 0)
    how: dict[str, Any] = {
        "name": params.system,
        "decoding": params.evaluation.decoding(params.language),
        "cluster": params.evaluation.cluster,
        "progress": work.progress,
    }
    if params.evaluation.backend == "torch":
        return evaluate_scales(cuts, c, plus, minus, scales, change=change, **how)
    corners = [open_checkpoint(path) for path in (c, plus, minus)]
    require_same_base(corners)
    sweep = ScaleSweep(load_recogniser(c, language=params.language), *corners, change=change)
    return [evaluate(cuts, sweep.move(scale), **how) for scale in scales]


def _heard(work: Work[SweepParams]) -> Iterator[list[str]]:
    """What each λ hears in recordings without texts, normalised."""
    params = work.params
    normalise = normaliser(params.language)
    corners = [corner_path(work, corner, params.base) for corner in params.corners]
    opened = [open_checkpoint(path) for path in corners]
    require_same_base(opened)
    sweep = ScaleSweep(load_recogniser(corners[0], language=params.language), *opened)
    for scale in params.scales:
        recogniser = sweep.move(moved(scale, None, params.offset))
        decoding = params.evaluation.decoding(params.language)
        found = transcribe(work.cuts(params.cuts), recogniser, decoding=decoding, progress=work.progress)
        yield [normalise(transcript.text).strip() for transcript in found.transcripts]


def _cuts(work: Work[SweepParams]) -> CutSet:
    """A part, or the utterances of some of its domains."""
    cuts, domains = work.cuts(work.params.cuts), work.params.domains
    if domains is None:
        return cuts
    kept = [cut for cut in cuts if domain_of(cut) in domains]
    if not kept:
        raise DataError("no utterance of these domains", field=work.name, value=", ".join(domains))
    return CutSet.from_cuts(kept)
