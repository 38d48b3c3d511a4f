"""From finished stages to one results object: scores, paired comparisons, what was chosen, what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.combining import combined_evaluations
from speech_analogy.adaptation.plan.scales import strategies, tested_scales
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.plan.stand_ins import is_decided
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.overlap import met_in, spoken_in
from speech_analogy.adaptation.runs.voices import spoken_by
from speech_analogy.adaptation.stages.params.training_params import FinetuneParams
from speech_analogy.adaptation.stages.scale_selection import regret
from speech_analogy.corpora.cuts import speaker_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.answers.questions import Question, answered, question
from speech_analogy.evaluation.environment import Making
from speech_analogy.evaluation.evaluate import compare_hypotheses, pooled
from speech_analogy.evaluation.grouping import Cluster, Grouping, grouped
from speech_analogy.evaluation.normalise import normaliser, normaliser_name
from speech_analogy.evaluation.overlap import by_spoken, spoken_texts
from speech_analogy.evaluation.results import (
    Comparison,
    DecoderResult,
    Hypothesis,
    Results,
    ScalePoint,
    Selection,
    StrategyChoice,
    System,
    Test,
    read_hypotheses,
    write_hypotheses,
)
from speech_analogy.evaluation.significance import holm
from speech_analogy.evaluation.stand_in_estimate import Estimate
from speech_analogy.foundation.user_files.json_text import read_json
from speech_analogy.systems.catalogue import COMBINATIONS, TRAININGS, searched_as

_Measured = tuple[str, float | None]
"""A system, and its λ where it has several rows."""

TARGET_TEXTS, SOURCE_TEXTS = "target_synthetic", "source_real"
"""The systems that are trained on nothing but the target's texts, and on nothing but the source's recordings."""

NOT_MEASURED = "No recordings of the target with texts were given, so no word error rate was measured on it."


@dataclass(frozen=True)
class _Row:
    """One row of the table: a system, at one λ where it has a grid, and the stages that evaluated it."""

    system: str
    scale: float | None
    stages: list[str]
    kept: list[str]
    """The stages that evaluated it on held-out source speech, where forgetting is reported."""
    before: str = ""
    """The stage that evaluated it before its finishing pass, which knows its λ."""

    @property
    def label(self) -> str:
        return self.system if self.scale is None else f"{self.system}-{self.scale:g}"


def collect(recipe: Recipe, plan: Plan, path: Path, made: Sequence[Making]) -> Results:
    """Read every score, copy the hypotheses into the run's folder and compare the analogy with all others.

    Args:
        made: what made the stages, that of most of them first; see `makings`.
    """
    chosen = _choice(plan, names.CHOOSE_SCALE)
    estimate = _estimate(recipe, plan)
    ours = (estimate.system, None) if estimate else ("analogy", chosen["scale"] if chosen else None)
    systems: list[System] = []
    hypotheses: dict[_Measured, list[Hypothesis]] = {}
    tested = Grouping([], recipe.evaluation.cluster)
    dropped = 0
    for row in _rows(recipe, plan, ours):
        file = f"hypotheses/{row.label}.jsonl"
        system, found, dropped = _measured(plan, row, recipe.evaluation.cluster)
        tested = tested if tested.rows else found
        update: dict[str, Any] = {"hypotheses_file": file, "chosen": False}
        if estimate is not None:
            scale = estimate.scale if row.system == estimate.system else estimate.scales.get(row.system)
            update |= {"name": row.system, "chosen": is_decided(row.system), "scale": scale}
        elif row.system in COMBINATIONS and COMBINATIONS[row.system].fixed is None:
            update["chosen"] = True
        elif row.system in COMBINATIONS:
            update["scale"] = None  # halfway between two models is no λ that anyone chose
        elif row.system == "analogy":
            update["chosen"] = chosen is not None and row.scale == chosen["scale"]
        if row.before:
            update |= {"name": row.system, "scale": _read(plan, row.before, "score")["system"].get("scale")}
        systems.append(system.model_copy(update=update))
        hypotheses[(row.system, row.scale)] = found.rows
        (plan.run / "hypotheses").mkdir(exist_ok=True)
        write_hypotheses(found.rows, plan.run / file)
    trained = _trained_on(recipe, plan)
    spoken = spoken_in(_all(trained), normaliser(recipe.language))
    asked = _question(recipe, trained)
    systems = [
        answered(by_spoken(one, rows, spoken), rows, asked)
        for one, rows in zip(systems, hypotheses.values(), strict=True)
    ]
    return Results(
        test=_test(
            recipe,
            path,
            tested,
            dropped,
            overlap=met_in(tested.rows, _all(trained), recipe.allow_overlap == "recordings") if tested.rows else None,
            texts=spoken_texts(tested.rows, spoken) if tested.rows else None,
        ),
        systems=systems,
        comparisons=_comparisons(hypotheses, ours, estimate.scale if estimate else ours[1])
        if ours in hypotheses
        else [],
        published=estimate.system if estimate else "",
        estimate=estimate,
        other_decoders=_in_decoders(plan),
        selection=_selection(recipe, plan, chosen, systems),
        counts=_counts(trained),
        spoken_by=spoken_by(plan),
        command=made[0].command,
        versions=made[0].shown(),
        machine=made[0].machine,
        made=list(made) if len(made) > 1 else [],
        seconds={stage.name: plan.seconds(stage.name) for stage in plan},
    )


def _estimate(recipe: Recipe, plan: Plan) -> Estimate | None:
    """What the stand-ins decided; None where they did not."""
    return Estimate.model_validate(_read(plan, names.CHOOSE_SCALE, "decision")) if recipe.decides else None


def _in_decoders(plan: Plan) -> list[DecoderResult]:
    """The published model in other decoders, where the recipe asks for some."""
    if names.IN_DECODERS not in plan.stages:
        return []
    return [DecoderResult.model_validate(row) for row in _read(plan, names.IN_DECODERS, "found")]


def _rows(recipe: Recipe, plan: Plan, ours: _Measured) -> list[_Row]:
    """Every row of the table; that of the published system is of the model that the run ends with."""
    if recipe.decides and names.evaluation(recipe.evaluation.part, names.PUBLISHED) not in plan.stages:
        return []  # there is no test
    rows = _rows_of(recipe) if recipe.reported_part else []
    published = ours if recipe.decides or recipe.publish in (None, ours[0]) else (recipe.publish, None)
    stages = [names.evaluation(part, names.PUBLISHED) for part in (recipe.evaluation.part, "source_dev")]
    if stages[0] not in plan.stages:
        return rows
    kept = [stages[1]] if recipe.report_forgetting and stages[1] in plan.stages else []
    own = _Row(*published, stages[:1], kept)
    if recipe.decides:  # it comes last, and is there where it is not asked for too
        return [*(row for row in rows if row.system != published[0]), own]
    return [replace(own, before=row.stages[0]) if (row.system, row.scale) == published else row for row in rows]


def _rows_of(recipe: Recipe) -> list[_Row]:
    """A row for each system of the recipe, and for each λ that the analogy is evaluated at."""

    def row(system: str, scale: float | None) -> _Row:
        parts = [recipe.evaluation.part, "source_dev" if recipe.report_forgetting else None]
        stages, kept = ([] if part is None else _stages(recipe, part, system, scale) for part in parts)
        return _Row(system, scale, stages, kept)

    return [
        row(system, scale)
        for system in recipe.systems
        for scale in (tested_scales(recipe) if system == "analogy" and not recipe.decides else [None])
    ]


def _stages(recipe: Recipe, part: str, system: str, scale: float | None) -> list[str]:
    if system in COMBINATIONS and not (recipe.decides and is_decided(system)):
        return [name for name, _ in combined_evaluations(recipe, system, part)]
    return [names.evaluation(part, system, scale)]


def _measured(plan: Plan, row: _Row, cluster: Cluster) -> tuple[System, Grouping, int]:
    """Score and hypotheses of one row, with their clusters; those of several seeds are pooled."""
    contents = [_read(plan, stage, "score") for stage in row.stages]
    rows = [grouped([_relative(one, plan.run) for one in _hypotheses(plan, stage)], cluster) for stage in row.stages]
    system = pooled([System(**content["system"]) for content in contents], [found.rows for found in rows])
    if row.kept:
        kept = [_read(plan, stage, "score") for stage in row.kept]
        mean = sum(content["system"]["wer"] for content in kept) / len(kept)
        system = system.model_copy(update={"source_wer": mean})
    pooled_rows = replace(rows[0], rows=[one for found in rows for one in found.rows])
    return system, pooled_rows, contents[0]["dropped_empty_references"]


def _hypotheses(plan: Plan, stage: str) -> list[Hypothesis]:
    return read_hypotheses(plan.path(plan.stages[stage]["hypotheses"]))


def _comparisons(
    hypotheses: dict[_Measured, list[Hypothesis]], subject: _Measured, scale: float | None
) -> list[Comparison]:
    """The subject against every other system, on the same utterances; p-values also corrected by Holm.

    Args:
        subject: the analogy at the chosen λ, or what was decided on.
        scale: the subject's λ.
    """
    ours = hypotheses[subject]
    found = [
        compare_hypotheses(ours * max(1, len(rows) // len(ours)), rows, (subject[0], name), scale)
        for (name, other), rows in hypotheses.items()
        if other is None and (name, other) != subject
    ]
    corrected = holm({one.against: one.p_value for one in found})
    return [one.model_copy(update={"p_holm": corrected[one.against]}) for one in found]


def _test(recipe: Recipe, path: Path, tested: Grouping, dropped: int, **known: Any) -> Test:
    """What was measured on; `known` says how much of it was in training."""
    folder = path if path.is_dir() else path.parent
    part = recipe.reported_part
    held_out = [NOT_MEASURED] if part is None and not recipe.decides else []  # the stand-ins' words say so, too
    if part not in (None, "test"):
        held_out = [f"Evaluated on {part}, which is held out for choosing; the test set was not used."]
    return Test(
        recipe=folder.resolve().name,
        title=recipe.title,
        domains=list(recipe.target_domains),
        utterances=len(tested.rows),
        speakers=tested.speakers,
        clusters=tested.clusters,
        cluster=tested.kind,
        cluster_note=tested.note,
        duration_s=round(sum(row.duration_s for row in tested.rows), 3),
        dropped_empty_references=dropped,
        normaliser=normaliser_name(recipe.language),
        **known,
        note=" ".join([*held_out, *recipe.note.split()]),
    )


def _selection(recipe: Recipe, plan: Plan, chosen: dict[str, Any] | None, evaluated: list[System]) -> Selection | None:
    if chosen is None:
        return None
    disagreement = recipe.scale_selection.strategy == "agreement"  # its curve is not one of WER
    searched = _choice(plan, names.CHOOSE_TRAINING)
    systems = recipe.trainings()
    return Selection(
        scale=chosen["scale"],
        scale_curve=[] if disagreement else [ScalePoint(**point) for point in chosen["curve"]],
        scale_chosen_on=chosen["chosen_on"],
        strategies=_strategies(recipe, plan, evaluated),
        training={
            name: _trained(recipe, name, searched["chosen"][searched_as(name)] if searched else _given(recipe, name))
            for name in systems
        },
        training_trials=searched["trials"] if searched else [],
    )


def _strategies(recipe: Recipe, plan: Plan, evaluated: list[System]) -> list[StrategyChoice]:
    """What every strategy chose; regret against the analogy's own curve on the part that is reported."""
    curve = {system.scale: system.wer for system in evaluated if system.name == "analogy" and system.scale is not None}
    asked = strategies(recipe)
    found = []
    for strategy, stage in asked.items() if len(asked) > 1 else ():
        choice = _choice(plan, stage)
        assert choice is not None
        scale = choice["scale"]
        found.append(
            StrategyChoice(
                strategy=strategy,
                scale=scale,
                chosen_on=choice["chosen_on"],
                taken=stage == names.CHOOSE_SCALE,
                regret=regret(scale, curve) if scale in curve else None,
            )
        )
    return found


def _trained(recipe: Recipe, system: str, values: dict[str, float]) -> dict[str, float]:
    """The values as the system took them: one that goes on from a mixed model goes slower."""
    factor = recipe.controls.continued_rate if TRAININGS[system].slower else 1.0
    return {**values, "learning_rate": values["learning_rate"] * factor}


def _given(recipe: Recipe, system: str) -> dict[str, float]:
    """The learning rate and epochs that a recipe without a search says."""
    options = recipe.training_for(system, TRAININGS[system].like)
    return {"learning_rate": options.learning_rate, "epochs": float(options.epochs)}


def _choice(plan: Plan, stage: str) -> dict[str, Any] | None:
    if stage not in plan.stages:
        return None
    content: dict[str, Any] = _read(plan, stage, "choice")
    return content


def _read(plan: Plan, stage: str, output: str) -> Any:
    """The JSON of a stage's output."""
    return read_json(plan.path(plan.stages[stage][output]))


def _trained_on(recipe: Recipe, plan: Plan) -> dict[str, list[Any]]:
    """System -> the cuts that its fine-tuning saw."""
    found: dict[str, list[Any]] = {}
    for system in recipe.trainings():
        params = plan.stages[names.finetune(system)].params
        assert isinstance(params, FinetuneParams)
        found[system] = [cut for output in params.sets.values() for cut in read_cuts(plan.path(output))]
    return found


def _question(recipe: Recipe, trained: Mapping[str, Sequence[Any]]) -> Question:
    """What is asked of every system: its errors on words that the target's texts have and the source's have not."""
    texts = {name: [text_of(cut) for cut in trained[name]] for name in (TARGET_TEXTS, SOURCE_TEXTS) if name in trained}
    return question(
        normaliser(recipe.language),
        language=recipe.language,
        target=texts.get(TARGET_TEXTS),
        source=texts.get(SOURCE_TEXTS),
    )


def _all(trained: Mapping[str, Sequence[Any]]) -> list[Any]:
    return [cut for cuts in trained.values() for cut in cuts]


def _counts(trained: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, float]]:
    """How much each fine-tuning saw."""
    counts = {}
    for system, cuts in trained.items():
        speakers = {speaker_of(cut) for cut in cuts} - {""}
        counts[system] = {
            "utterances": len(cuts),
            "hours": round(sum(cut.duration for cut in cuts) / 3600, 3),
            **({"speakers": len(speakers)} if speakers else {}),
            "texts": len({text_of(cut) for cut in cuts}),
        }
    return counts


def _relative(row: Hypothesis, run: Path) -> Hypothesis:
    """Recordings that lie in the run are named from it, so that a run can be moved."""
    audio = Path(row.audio)
    return row.model_copy(update={"audio": str(audio.relative_to(run))}) if audio.is_relative_to(run) else row
