"""The stages behind a system that is put together of finished models."""

from __future__ import annotations

from typing import Any

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.draft import Draft
from speech_analogy.adaptation.plan.estimate import NOTHING, START_S, Size, decode_cost, widen_cost
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.stages.evaluation import PART_IN_WORDS
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.evaluation_params import (
    CombinedParams,
    EvaluateParams,
    PickParams,
    ScopesParams,
    SweepParams,
)
from speech_analogy.adaptation.stages.params.model_params import (
    AnalogyParams,
    ByAdapterParams,
    MeanParams,
    WidenedParams,
    WrittenParams,
)
from speech_analogy.systems.catalogue import BASE, BY_ADAPTER, COMBINATIONS, MEANS, Combination


def add_analogy(draft: Draft) -> None:
    """θ_D at the chosen λ as a model folder."""
    params = AnalogyParams(corners=draft.corners, choice=draft.stages[names.CHOOSE_SCALE]["choice"])
    draft.add(names.ANALOGY_STAGE, params, START_S)


def add_by_adapter(draft: Draft) -> None:
    """The model of which LoRA's factors each take the analogy."""
    choice = draft.stages[names.CHOOSE_SCALE]["choice"]
    draft.add(BY_ADAPTER, ByAdapterParams(corners=draft.corners, choice=choice, **draft.base), START_S)


def add_combined(draft: Draft, system: str, part: str) -> None:
    """A combined system on `part`; its λ is chosen first."""
    how = COMBINATIONS[system]
    choice = _choice_of(draft, system, how)
    for name, seed in combined_evaluations(draft.recipe, system, part):
        control = how.direction != "difference"
        params = CombinedParams(
            **draft.transcription(system, part),
            **_parts(draft, how),
            direction=how.direction if control else None,
            seed=seed if control else None,
            scale=how.fixed,
            choice=choice,
        )
        draft.add(name, params, draft.decoding_cost(part))


def add_mean(draft: Draft, system: str, part: str) -> None:
    """A system that is the mean of finished models, on `part`; the model is written first."""
    mean = add_mean_model(draft, system)
    params = EvaluateParams(**draft.transcription(system, part), model=mean["model"])
    draft.add(names.evaluation(part, system), params, draft.decoding_cost(part))


def published_stage(recipe: Recipe) -> str:
    """The stage that makes the model of the published system, as it was tuned or put together."""
    return names.PUBLISHED if recipe.decides else names.model(recipe.publish or "analogy")


def add_widened(draft: Draft, published: str) -> str:
    """The stage whose model the run ends with: the published one, taught 30 s windows where the recipe says so."""
    recipe = draft.recipe
    if recipe.widen is None or published not in draft.stages:
        return published
    sets = [name for name in ("source_real", "target_synthetic") if name in draft.cuts]
    params = WidenedParams(
        model=draft.stages[published]["model"],
        sets={name: draft.cuts[name] for name in sets},
        widen=recipe.widen,
        seed=recipe.seed,
        language=recipe.language,
    )
    taught = NOTHING
    for name in sets:
        share = recipe.widen.utterances / len(sets) / max(1, draft.size[name].utterances)
        taught = taught.plus(draft.size[name].times(min(1.0, share)))
    draft.add(names.WIDENED, params, widen_cost(recipe.widen, taught))
    return names.WIDENED


def evaluated_parts(recipe: Recipe) -> list[str]:
    """What every system transcribes: the part that is reported, if there is one, and what it retains of the source."""
    kept = "source_dev" if recipe.report_forgetting else None
    return list(dict.fromkeys(part for part in (recipe.reported_part, kept) if part is not None))


def add_published_evaluation(draft: Draft, made: str) -> None:
    """The model that the run ends with on the reported part, and on held-out source speech where that is reported."""
    for part in evaluated_parts(draft.recipe):
        if part in draft.cuts:
            params = EvaluateParams(**draft.transcription(names.PUBLISHED, part), model=draft.stages[made]["model"])
            draft.add(names.evaluation(part, names.PUBLISHED), params, draft.decoding_cost(part))


def add_mean_model(draft: Draft, system: str) -> Stage:
    """The mean of finished models as a model folder."""
    for name in MEANS[system]:
        if name in COMBINATIONS and name not in draft.stages:
            how = COMBINATIONS[name]
            choice = _choice_of(draft, name, how)
            assert choice is not None, f"{name} has no λ of its own"
            corners = (draft.model(how.c), draft.model(how.plus), draft.model(how.minus))
            draft.add(name, AnalogyParams(corners=corners, choice=choice), START_S)
    models = tuple(draft.model(name) for name in MEANS[system])
    return draft.add(system, MeanParams(models=models), START_S)


def add_written(draft: Draft, system: str) -> None:
    """The model folder of a system that is otherwise put together in memory alone; nothing if it is written."""
    if system not in COMBINATIONS or system in draft.stages:
        return
    how = COMBINATIONS[system]
    choice = _choice_of(draft, system, how)
    draft.add(system, WrittenParams(**_parts(draft, how), scale=how.fixed, choice=choice), START_S)


def add_sweep(
    draft: Draft,
    name: str,
    system: str,
    cuts: str,
    scales: tuple[float, ...] | None = None,
    size: Size | None = None,
    **more: Any,
) -> Stage:
    """The curve of a combined system over λ on a set of cuts.

    Args:
        scales: the grid; None: the recipe's.
        size: of what is transcribed, where it is not the whole set.
        more: corners in place of the system's own, and the domains that are kept.
    """
    grid = tuple(float(scale) for scale in (draft.recipe.scales if scales is None else scales))
    params = SweepParams(**{**draft.transcription(system, cuts), "scales": grid, **more})
    cost = START_S + len(grid) * (decode_cost(size or draft.size[cuts], draft.window) - START_S)
    return draft.add(name, params, cost)


def combined_evaluations(recipe: Recipe, system: str, part: str) -> list[tuple[str, int]]:
    """(stage, seed) of a combined system's evaluations: one, or as many as a random control has seeds."""
    if COMBINATIONS[system].direction == "difference":
        return [(names.evaluation(part, system), 0)]
    seeds = range(recipe.controls.seeds)
    return [(names.evaluation(part, names.seeded(system, seed)), seed) for seed in seeds]


def _choice_of(draft: Draft, system: str, how: Combination) -> Output | None:
    """The choice of the system's λ; None where it is fixed."""
    if how.fixed is not None:
        return None
    if how.chosen == "analogy":
        return draft.stages[names.CHOOSE_SCALE]["choice"]
    name = names.choose_scale_of(system)
    if how.chosen == "scopes":
        return _add_scopes(draft, name, system, how)
    sweeps = tuple(
        (_own_sweep(draft, system, how, part)["curve"], PART_IN_WORDS[part]) for part in draft.recipe.scale_chosen_on
    )
    return draft.add(name, PickParams(strategy="source_dev", sweeps=sweeps))["choice"]


def _own_sweep(draft: Draft, system: str, how: Combination, part: str) -> Stage:
    return add_sweep(draft, names.sweep(system, part), system, part, how.scales, **_parts(draft, how))


def _add_scopes(draft: Draft, name: str, system: str, how: Combination) -> Output:
    rules, parts = draft.recipe.scale_selection, draft.recipe.scale_chosen_on
    params = ScopesParams(
        **draft.transcription(system, parts[0]),
        **_parts(draft, how),
        parts=tuple(draft.cuts[part] for part in parts),
        scopes=rules.scopes,
        scales=draft.recipe.scales,
        rounds=rules.rounds,
        start=draft.stages[names.CHOOSE_SCALE]["choice"],
    )
    tried = len(draft.recipe.scales) * len(rules.scopes) * rules.rounds
    cost = START_S + tried * sum(draft.decoding_cost(part) for part in parts)
    return draft.add(name, params, cost)["choice"]


def _parts(draft: Draft, how: Combination) -> dict[str, Any]:
    """The models that a stage puts together."""
    return {
        "corners": tuple(draft.corner(name) for name in (how.c, how.plus, how.minus)),
        "offset": how.offset or None,
        **(draft.base if BASE in how.parts else {}),
    }
