"""Stages that move weights in memory: curves over λ, the choice of a λ by them, and systems made of finished models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.adaptation.recipe import EvaluationOptions
from speech_analogy.adaptation.stages.controls import change_of
from speech_analogy.adaptation.stages.scale_selection import choose_scale, most_agreed, search_scopes
from speech_analogy.adaptation.stages.work import CHOICE_FILE, CURVE_FILE, MODEL_FOLDER, Work, write_evaluation
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import Evaluation, evaluate
from speech_analogy.evaluation.results import ScalePoint
from speech_analogy.evaluation.sweep import ScaleSweep, evaluate_scales
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.arithmetic import Scale
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.scope import Scope, ScopedScale
from speech_analogy.merging.vectors.lora import combine_adapters
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.systems.catalogue import BASE
from speech_analogy.training.publish import ADAPTER_FOLDER


def sweep_stage(work: Work) -> None:
    """Hear a part with every λ of a grid: `curve.json` holds WER and normalised hypotheses of each."""
    scales = work.params["scales"]
    found = _hear(work, _cuts(work, work.params["cuts"]), [_moved(work, scale) for scale in scales])
    rows = [
        {
            "scale": scale,
            "wer": one.system.wer,
            "heard": [row.hypothesis_normalised for row in one.hypotheses],
        }
        for scale, one in zip(scales, found, strict=True)
    ]
    work.write(CURVE_FILE, rows)


def pick_stage(work: Work) -> None:
    """Choose a λ: the one that was given, the one with the lowest WER, or the one that agrees most."""
    strategy = work.params["strategy"]
    if strategy == "fixed":
        work.write(CHOICE_FILE, {"scale": work.params["scale"], "curve": [], "chosen_on": "nothing: it was given"})
        return
    curves = {label: work.read(stage, CURVE_FILE) for stage, label in work.params["sweeps"].items()}
    scale: float
    points: list[ScalePoint]
    if strategy == "agreement":
        (rows,) = curves.values()
        scale, points = most_agreed({row["scale"]: row["heard"] for row in rows})
    else:
        scale, points = choose_scale({label: {row["scale"]: row["wer"] for row in curves[label]} for label in curves})
    on = "; ".join(f"{label}: {len(rows[0]['heard'])} utterances" for label, rows in curves.items())
    on = {"agreement": "agreement on ", "leave_one_domain_out": "source domains as the target: "}.get(strategy, "") + on
    work.write(CHOICE_FILE, {"scale": scale, "curve": [point.model_dump() for point in points], "chosen_on": on})


def scopes_stage(work: Work) -> None:
    """Choose a λ for each scope by coordinate search on held-out speech, from the analogy's λ on."""
    start = work.read(work.params["start"], CHOICE_FILE)["scale"]
    parts = [_cuts(work, place) for place in work.params["parts"]]

    def hear(candidates: Sequence[Mapping[str, float]]) -> list[float]:
        moved = [_scoped(candidate, start) for candidate in candidates]
        heard = [_hear(work, cuts, moved) for cuts in parts]
        return [sum(part[at].system.wer for part in heard) / len(heard) for at in range(len(moved))]

    scopes, trace = search_scopes(hear, work.params["scopes"], work.params["scales"], start, work.params["rounds"])
    work.write(CHOICE_FILE, {"scale": start, "scopes": scopes, "trace": trace})


def combined_stage(work: Work) -> None:
    """Transcribe and score a part with a system that is put together in memory, at the λ that was chosen for it."""
    scale, scopes = _chosen(work)
    (found,) = _hear(work, _cuts(work, work.params["cuts"]), [_taken(work, scale, scopes)])
    shown = {"scale": None, "scopes": scopes} if scopes else {"scale": scale}
    write_evaluation(
        Evaluation(found.system.model_copy(update=shown), found.hypotheses, found.dropped_empty_references),
        work.folder,
    )


def written_stage(work: Work) -> None:
    """Write a system that is put together of finished models as a complete model folder, at the λ chosen for it."""
    c, plus, minus = (_corner(work, name) for name in work.params["corners"])
    analogy(c, plus, minus, _taken(work, *_chosen(work)), work.folder / MODEL_FOLDER, overwrite=True)


def by_adapter_stage(work: Work) -> None:
    """Write θ_0 + s(U_C + λ(U_B − U_A))(D_C + λ(D_B − D_A)): LoRA's factors U, D each take the analogy.

    The other systems merge the products UD; A, B and C must have adapters of one rank.
    """
    scale = float(work.read(work.params["choice"], CHOICE_FILE)["scale"])
    adapters = [work.model(name) / ADAPTER_FOLDER for name in work.params["corners"]]
    base = resolve_weights(work.params["base"])
    vector = combine_adapters(adapters, (1.0, scale, -scale), base)
    vector.apply(base, work.folder / MODEL_FOLDER, overwrite=True)


def _hear(work: Work, cuts: CutSet, scales: Sequence[Scale]) -> list[Evaluation]:
    """The part as the system hears it at each λ; audio and features are read once where torch decodes."""
    params, options = work.params, EvaluationOptions.model_validate(work.params["evaluation"])
    c, plus, minus = (_corner(work, name) for name in params["corners"])
    change = change_of(params.get("direction", "difference"), params.get("seed", 0))
    shared: dict[str, Any] = {
        "name": params["system"],
        "decoding": options.decoding(params["language"]),
        "cluster": options.cluster,
        "progress": work.progress,
    }
    if options.backend == "torch":
        return evaluate_scales(cuts, c, plus, minus, scales, change=change, **shared)
    corners = [open_checkpoint(path) for path in (c, plus, minus)]
    require_same_base(corners)
    sweep = ScaleSweep(load_recogniser(c, language=params["language"]), *corners, change=change)
    return [evaluate(cuts, sweep.move(scale), **shared) for scale in scales]


def _corner(work: Work, name: str) -> Path:
    return resolve_weights(work.params["base"]) if name == BASE else work.model(name)


def _chosen(work: Work) -> tuple[float, dict[str, float] | None]:
    """λ, and a λ for each scope where they were chosen so."""
    if "choice" not in work.params:
        return float(work.params["scale"]), None
    choice = work.read(work.params["choice"], CHOICE_FILE)
    return float(choice["scale"]), choice.get("scopes")


def _taken(work: Work, scale: float, scopes: Mapping[str, float] | None) -> Scale:
    return _scoped(scopes, scale) if scopes else _moved(work, scale)


def _moved(work: Work, scale: float) -> float:
    """λ as the arithmetic takes it; see `Combination.offset`."""
    return scale + float(work.params.get("offset", 0.0))


def _scoped(scales: Mapping[str, float], elsewhere: float) -> ScopedScale:
    return ScopedScale(tuple((Scope.parse(scope), scale) for scope, scale in scales.items()), elsewhere)


def _cuts(work: Work, place: Sequence[str]) -> CutSet:
    """A part, or the utterances of some of its domains."""
    stage, file = place
    cuts = read_cuts(work.inputs[stage] / file)
    domains = work.params.get("domains")
    if domains is None:
        return cuts
    kept = [cut for cut in cuts if domain_of(cut) in domains]
    if not kept:
        raise DataError("no utterance of these domains", field=work.name, value=", ".join(domains))
    return CutSet.from_cuts(kept)
