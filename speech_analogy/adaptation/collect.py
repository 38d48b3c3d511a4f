"""From finished stages to one results object: scores, paired comparisons, what was chosen, what was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.baselines import TRAINED_ON, searched_as, trained_systems
from speech_analogy.adaptation.build import evaluation_stage
from speech_analogy.adaptation.plan import Plan
from speech_analogy.adaptation.stages import CHOICE_FILE, HYPOTHESES_FILE, SCORE_FILE
from speech_analogy.config import Recipe
from speech_analogy.corpora.cuts import speaker_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.evaluate import compare_hypotheses
from speech_analogy.evaluation.normalise import normaliser_name
from speech_analogy.evaluation.results import (
    Comparison,
    Hypothesis,
    Results,
    ScalePoint,
    Selection,
    System,
    Test,
    read_hypotheses,
    write_hypotheses,
)


def collect(
    recipe: Recipe, plan: Plan, path: Path, command: str, versions: dict[str, str], machine: dict[str, str]
) -> Results:
    """Read every score, copy the hypotheses into the run's folder and compare the analogy with all others."""
    chosen = _choice(plan, "choose-scale")
    systems: list[System] = []
    heard: dict[tuple[str, float | None], list[Hypothesis]] = {}
    dropped = 0
    for name, scale, stage in _evaluations(recipe):
        content = json.loads((plan.folder(stage) / SCORE_FILE).read_text(encoding="utf-8"))
        label = name if scale is None else f"{name}-{scale:g}"
        is_chosen = chosen is not None and scale == chosen["scale"]
        file = f"hypotheses/{label}.jsonl"
        systems.append(System(**{**content["system"], "hypotheses_file": file, "chosen": is_chosen}))
        rows = [_relative(row, plan.run) for row in read_hypotheses(plan.folder(stage) / HYPOTHESES_FILE)]
        heard[(name, scale)] = rows
        dropped = content["dropped_empty_references"]
        (plan.run / "hypotheses").mkdir(exist_ok=True)
        write_hypotheses(rows, plan.run / file)
    any_rows = next(iter(heard.values()))
    return Results(
        test=_test(recipe, path, any_rows, dropped),
        systems=systems,
        comparisons=_comparisons(heard, chosen["scale"]) if chosen else [],
        selection=_selection(recipe, plan, chosen),
        counts=_counts(recipe, plan),
        command=command,
        versions=versions,
        machine=machine,
        seconds={stage.name: plan.seconds(stage.name) for stage in plan},
    )


def _evaluations(recipe: Recipe) -> list[tuple[str, float | None, str]]:
    """(system, λ, stage) of every row of the table."""
    rows: list[tuple[str, float | None, str]] = []
    part = recipe.evaluation.part
    for system in recipe.systems:
        if system == "analogy":
            rows += [(system, scale, evaluation_stage(part, system, scale)) for scale in sorted(recipe.scales)]
        else:
            rows.append((system, None, evaluation_stage(part, system)))
    return rows


def _comparisons(heard: dict[tuple[str, float | None], list[Hypothesis]], scale: float) -> list[Comparison]:
    ours = heard[("analogy", scale)]
    return [
        compare_hypotheses(ours, rows, ("analogy", name), scale)
        for (name, other), rows in heard.items()
        if other is None
    ]


def _test(recipe: Recipe, path: Path, rows: list[Hypothesis], dropped: int) -> Test:
    folder = path if path.is_dir() else path.parent
    part = recipe.evaluation.part
    unheard = [] if part == "test" else [f"Heard here: {part}, held out for choosing; the test was not heard."]
    return Test(
        recipe=folder.resolve().name,
        title=recipe.title,
        domains=list(recipe.split.target_domains),
        utterances=len(rows),
        speakers=len({row.speaker for row in rows}),
        clusters=len({row.cluster for row in rows}),
        cluster=recipe.evaluation.cluster,
        duration_s=round(sum(row.duration_s for row in rows), 3),
        dropped_empty_references=dropped,
        normaliser=normaliser_name(recipe.language),
        note=" ".join([*unheard, *recipe.note.split()]),
    )


def _selection(recipe: Recipe, plan: Plan, chosen: dict[str, Any] | None) -> Selection | None:
    if chosen is None:
        return None
    searched = _choice(plan, "choose-training")
    systems = trained_systems(recipe.systems)
    return Selection(
        scale=chosen["scale"],
        scale_curve=[ScalePoint(**point) for point in chosen["curve"]],
        scale_chosen_on=chosen["chosen_on"],
        training={
            name: searched["chosen"][searched_as(name)] if searched else _given(recipe, name) for name in systems
        },
        training_trials=searched["trials"] if searched else [],
    )


def _given(recipe: Recipe, system: str) -> dict[str, float]:
    """The learning rate and epochs that a recipe without a search says."""
    options = recipe.training_for(system)
    return {"learning_rate": options.learning_rate, "epochs": float(options.epochs)}


def _choice(plan: Plan, stage: str) -> dict[str, Any] | None:
    if stage not in plan.stages:
        return None
    content: dict[str, Any] = json.loads((plan.folder(stage) / CHOICE_FILE).read_text(encoding="utf-8"))
    return content


def _counts(recipe: Recipe, plan: Plan) -> dict[str, dict[str, float]]:
    """What each fine-tuning saw."""
    counts = {}
    for system in trained_systems(recipe.systems):
        stage = plan.stages[f"finetune-{system}"]
        cuts = []
        for name in TRAINED_ON[system]:
            place, file = stage.params["sets"][name]
            cuts += list(read_cuts(plan.folder(place) / file))
        counts[system] = {
            "utterances": len(cuts),
            "hours": round(sum(cut.duration for cut in cuts) / 3600, 3),
            "speakers": len({speaker_of(cut) for cut in cuts}),
            "texts": len({text_of(cut) for cut in cuts}),
        }
    return counts


def _relative(row: Hypothesis, run: Path) -> Hypothesis:
    """Recordings that lie in the run are named from it, so that a run can be moved."""
    audio = Path(row.audio)
    return row.model_copy(update={"audio": str(audio.relative_to(run))}) if audio.is_relative_to(run) else row
