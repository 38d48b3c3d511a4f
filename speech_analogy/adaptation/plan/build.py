"""From a recipe to its plan: which stages there are, with which parameters, and what each reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.plan.compose import Composer, model_stage, slug, source_domains, strategies
from speech_analogy.adaptation.plan.estimate import NOTHING, START_S, Size, as_decoded, decode_cost, finetune_cost
from speech_analogy.adaptation.plan.sets import Sets, corpus_stages, real_sets, synthetic_sets
from speech_analogy.adaptation.plan.several import several_stages
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import Recipe, SearchOptions
from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.stages.registry import VERSIONS
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.loading import choose_backend, ctranslate2_installed
from speech_analogy.recognisers.protocol import Backend
from speech_analogy.recognisers.windows import Window
from speech_analogy.systems.catalogue import (
    BY_ADAPTER,
    COMBINATIONS,
    CORNERS,
    MEANS,
    SEARCHED,
    TRAINED_ON,
    TRAININGS,
    made_of,
    needs_analogy,
    searched_as,
    trained_systems,
)
from speech_analogy.training.options import EwcOptions


def build_plan(recipe: Recipe, folder: Path, run: Path, parts: Split, corpus_digest: str, base_key: str) -> Plan:
    """All stages of a recipe.

    Args:
        folder: what the recipe's paths are relative to.
        run: the run's folder.
        parts: the divided corpus; its sizes give the estimates.
        corpus_digest: of all the corpus's cuts; a changed recording makes everything anew.
        base_key: of the base's weights.
    """
    stages = corpus_stages(recipe, folder, corpus_digest)
    sets = real_sets(recipe, folder, parts, stages)
    synthetic_sets(recipe, folder, parts, base_key, sets, stages)
    choice = _search(recipe, recipe.search, sets, base_key, stages) if recipe.search else None
    for system in trained_systems(recipe.systems):
        stages.append(_finetune(recipe, system, sets, base_key, choice))
    stages += several_stages(
        recipe,
        _by_domain(parts.source_train),
        base_key,
        lambda system: _finetune(recipe, system, sets, base_key, choice),
        [stage.name for stage in stages],
    )
    composer = _composer(recipe, sets, base_key)
    if needs_analogy(recipe.systems):
        _scale_choices(recipe, composer, sets, parts, base_key, choice, stages)
    if any("analogy" in made_of(system) - {system} for system in recipe.systems):
        stages.append(_analogy())
    if "analogy_by_adapter" in recipe.systems:
        stages.append(_by_adapter(recipe, base_key))
    for part in evaluated_parts(recipe):
        _evaluations(recipe, part, composer, sets, base_key, stages)
    if "analogy" in recipe.systems and "analogy" not in {stage.name for stage in stages}:
        stages.append(_analogy())
    if recipe.publish is not None:
        composer.written(recipe.publish, stages)
    return Plan(run, [as_decoded(stage) for stage in stages], VERSIONS)


def evaluated_parts(recipe: Recipe) -> list[str]:
    """What every system hears: the part that is reported, and held-out source speech where forgetting is."""
    return list(dict.fromkeys([recipe.evaluation.part, *(["source_dev"] if recipe.report_forgetting else [])]))


def tested_scales(recipe: Recipe) -> list[float]:
    """The λs of the analogy's curve, ascending: the grid, and the one that is said to be taken."""
    said = [recipe.scale_selection.fixed] if "fixed" in strategies(recipe) else []
    return sorted({*recipe.scales, *said})


def _evaluations(recipe: Recipe, part: str, composer: Composer, sets: Sets, base_key: str, stages: list[Stage]) -> None:
    """Every system on one part."""
    for system in recipe.systems:
        if system == "analogy":
            for scale in _grid(recipe):
                stage = _evaluate_analogy(recipe, scale, part, sets)
                if stage.name not in {earlier.name for earlier in stages}:  # the choice of λ may have heard it
                    stages.append(stage)
        elif system in COMBINATIONS:
            composer.combined(system, part, stages)
        elif system in MEANS:
            composer.mean(system, part, stages)
        else:
            stages.append(_evaluate(recipe, system, part, sets, base_key))


def _grid(recipe: Recipe) -> list[float]:
    """The analogy's λs in the recipe's order, which is the order of its stages."""
    return list(dict.fromkeys([*recipe.scales, *tested_scales(recipe)]))


def _composer(recipe: Recipe, sets: Sets, base_key: str) -> Composer:
    def evaluation(system: str, cuts: str) -> dict[str, Any]:
        return _evaluation_params(recipe, system, sets.where[cuts], sets)

    return Composer(recipe, evaluation, sets.where, sets.size, base_key, _window(recipe))


def _training(recipe: Recipe, system: str, sets: Sets, base_key: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What every fine-tuning stage is told, and what it reads."""
    used = {name: sets.where[name] for name in TRAINED_ON[system]}
    params = {
        "system": system,
        "sets": {name: list(place) for name, place in used.items()},
        "base": recipe.base,
        "base_key": base_key,
        "training": {
            **recipe.training_for(system, TRAININGS[system].like).model_dump(mode="json", exclude={"save_every_s"}),
            "seed": recipe.seed if recipe.training_seed is None else recipe.training_seed,
            "language": recipe.language,
        },
    }
    return params, tuple(dict.fromkeys(stage for stage, _ in used.values()))


def _finetune(recipe: Recipe, system: str, sets: Sets, base_key: str, choice: str | None) -> Stage:
    params, needs = _training(recipe, system, sets, base_key)
    epochs = max(recipe.search.epochs) if recipe.search else recipe.training_for(system, TRAININGS[system].like).epochs
    if choice is not None:
        params |= {"choice": choice, "searched_as": searched_as(system)}
        needs += (choice,)
    training = TRAININGS[system]
    share = recipe.controls.replay_share if training.replay else 1.0
    size = _sum([sets.size[name].times(share if name == "source_real" else 1.0) for name in training.sets])
    cost = finetune_cost(size, epochs, recipe.training.window)
    if training.start is not None:
        params["continues"] = model_stage(training.start)
        needs += (params["continues"],)
    if training.slower:
        params["slower"] = recipe.controls.continued_rate
    if training.replay:
        params["replay"] = share
    if training.anchored:
        stage, file = sets.where["source_real"]
        params["training"]["ewc"] = EwcOptions(strength=recipe.controls.ewc_strength).model_dump(mode="json")
        params["remember"] = [stage, file]
        needs = tuple(dict.fromkeys((*needs, stage)))
    if training.freeze:
        params["training"]["freeze"] = list(training.freeze)
    return Stage(f"finetune-{system}", "finetune", params, needs, cost)


def _search(recipe: Recipe, search: SearchOptions, sets: Sets, base_key: str, stages: list[Stage]) -> str:
    """Learning rates are compared at the fewest epochs, then more epochs at each system's best rate."""
    first, *more = sorted(search.epochs)
    by_rate = [
        _trial(recipe, search, system, sets, base_key, {"learning_rate": rate, "epochs": first}, None)
        for system in SEARCHED
        for rate in search.learning_rates
    ]
    stages += by_rate
    names = tuple(stage.name for stage in by_rate)
    if not more:
        stages.append(Stage("choose-training", "choice", {}, names))
        return "choose-training"
    stages.append(Stage("choose-rate", "choice", {}, names))
    by_epochs = [
        _trial(recipe, search, system, sets, base_key, {"epochs": epochs}, "choose-rate")
        for system in SEARCHED
        for epochs in more
    ]
    stages += by_epochs
    stages.append(Stage("choose-training", "choice", {}, names + tuple(stage.name for stage in by_epochs)))
    return "choose-training"


def _trial(
    recipe: Recipe,
    search: SearchOptions,
    system: str,
    sets: Sets,
    base_key: str,
    override: dict[str, Any],
    choice: str | None,
) -> Stage:
    params, needs = _training(recipe, system, sets, base_key)
    params |= {
        "override": override,
        "source_utterances": search.source_utterances,
        "dev": list(sets.where["source_dev"]),
    }
    if choice is not None:
        params |= {"choice": choice, "searched_as": system}
        needs += (choice,)
    needs = tuple(dict.fromkeys((*needs, sets.where["source_dev"][0])))
    whole = sets.size["source_real"]
    share = min(1.0, search.source_utterances / whole.utterances)
    others = [sets.size[name] for name in TRAINED_ON[system] if name != "source_real"]
    cost = finetune_cost(_sum([whole.times(share), *others]), override["epochs"], recipe.training.window)
    cost += decode_cost(sets.size["source_dev"], recipe.training.window)
    label = f"{override['learning_rate']:g}-" if "learning_rate" in override else ""
    return Stage(f"trial-{system}-{label}{override['epochs']}ep", "trial", params, needs, cost)


def evaluation_stage(part: str, system: str, scale: float | None = None) -> str:
    """The name of the stage that transcribes a part with a system."""
    name = f"evaluate-{system}" if scale is None else f"evaluate-{system}-{scale:g}"
    return name if part == "test" else f"{name}-on-{part}"


def _evaluation_params(recipe: Recipe, system: str, place: tuple[str, str], sets: Sets) -> dict[str, Any]:
    evaluation = recipe.evaluation.model_dump(mode="json", exclude={"part", "backend", "compute"})
    backend = _backend(recipe, sets)
    compute = recipe.evaluation.compute
    if backend != "torch" or compute == "bf16":  # torch in float32 has no key: what it made earlier stays valid
        evaluation |= {"backend": backend, "compute": compute}
    return {
        "system": system,
        "cuts": list(place),
        "evaluation": evaluation,
        "language": recipe.language,
    }


def _backend(recipe: Recipe, sets: Sets) -> Backend:
    """One backend for every system of a run, since they are compared; it does not hang on what a cache holds."""
    if recipe.evaluation.backend != "auto":
        return recipe.evaluation.backend
    window_s = sets.size[recipe.evaluation.part].window_s(_window(recipe))
    on_cpu = find_device().type == "cpu"
    return choose_backend(window_s, on_cpu=on_cpu, installed=ctranslate2_installed(), converted=False)


def _evaluate(recipe: Recipe, system: str, part: str, sets: Sets, base_key: str) -> Stage:
    place, name = sets.where[part], evaluation_stage(part, system)
    params = _evaluation_params(recipe, system, place, sets)
    if system == "zero_shot":
        params |= {"base": recipe.base, "base_key": base_key}
        cost = decode_cost(sets.size[part], recipe.evaluation.window or "full")
        return Stage(name, "evaluate", params, (place[0],), cost)
    model = f"finetune-{system}"
    cost = decode_cost(sets.size[part], _window(recipe))
    return Stage(name, "evaluate", {**params, "model": model}, (model, place[0]), cost)


def _evaluate_analogy(recipe: Recipe, scale: float, part: str, sets: Sets) -> Stage:
    corners = [f"finetune-{CORNERS[corner]}" for corner in ("c", "plus", "minus")]
    place = sets.where[part]
    params = {**_evaluation_params(recipe, "analogy", place, sets), "corners": corners, "scale": float(scale)}
    name = evaluation_stage(part, "analogy", scale)
    needs = tuple(dict.fromkeys((*corners, place[0])))
    return Stage(name, "evaluate", params, needs, decode_cost(sets.size[part], _window(recipe)))


def _scale_choices(
    recipe: Recipe,
    composer: Composer,
    sets: Sets,
    parts: Split,
    base_key: str,
    choice: str | None,
    stages: list[Stage],
) -> None:
    """The stages of every strategy that the recipe asks for."""
    for strategy, name in strategies(recipe).items():
        if strategy == "source_dev":
            _source_dev(recipe, name, sets, stages)
        elif strategy == "fixed":
            stages.append(composer.fixed(name))
        elif strategy == "agreement":
            stages.append(composer.agreement(name, stages))
        else:
            _leave_one_out(recipe, name, composer, sets, parts, base_key, choice, stages)


def _leave_one_out(
    recipe: Recipe,
    name: str,
    composer: Composer,
    sets: Sets,
    parts: Split,
    base_key: str,
    choice: str | None,
    stages: list[Stage],
) -> None:
    """Every source domain plays the target: a C of its synthetic speech, and the shared A and B or its own."""
    held_out, trained = (_by_domain(cuts) for cuts in (parts.source_dev, parts.source_train))
    sweeps = {}
    for domain in source_domains(recipe, held_out, trained):
        share = trained[domain] / max(1, sum(trained.values()))
        corners = [_of_domain(_finetune(recipe, "source_synthetic", sets, base_key, choice), domain, share)]
        for system in ("source_real", "source_synthetic") if recipe.scale_selection.own_corners else ():
            corners.append(_of_domain(_finetune(recipe, system, sets, base_key, choice), domain, 1 - share, True))
        there = {stage.name for stage in stages}  # several vectors may have asked for it
        stages += [stage for stage in corners if stage.name not in there]
        shared = [model_stage(CORNERS["plus"]), model_stage(CORNERS["minus"])]
        plus, minus = [stage.name for stage in corners[1:]] or shared
        dev = sets.size["source_dev"].times(held_out[domain] / max(1, sum(held_out.values())))
        stages.append(composer.domain_sweep(domain, (corners[0].name, plus, minus), dev))
        sweeps[stages[-1].name] = domain
    params = {"strategy": "leave_one_domain_out", "sweeps": sweeps}
    stages.append(Stage(name, "pick", params, tuple(sweeps)))


def _of_domain(stage: Stage, domain: str, share: float, without: bool = False) -> Stage:
    """A fine-tuning on one domain of its sets alone, or on all but that domain."""
    params = {**stage.params, "without" if without else "domains": [domain]}
    label = f"{stage.name}-{'without' if without else 'of'}-{slug(domain)}"
    return Stage(label, stage.kind, params, stage.needs, stage.cost_s * share)


def _by_domain(cuts: Iterable[Any]) -> Counter[str]:
    return Counter(domain_of(cut) for cut in cuts)


def _source_dev(recipe: Recipe, name: str, sets: Sets, stages: list[Stage]) -> None:
    parts = {}
    for part in recipe.scale_chosen_on:
        for scale in recipe.scales:
            stage = _evaluate_analogy(recipe, scale, part, sets)
            stages.append(stage)
            parts[stage.name] = part
    stages.append(Stage(name, "scale", {"parts": parts}, tuple(parts)))


def _analogy() -> Stage:
    corners = [f"finetune-{CORNERS[corner]}" for corner in ("c", "plus", "minus")]
    params = {"corners": corners, "choice": "choose-scale"}
    return Stage("analogy", "analogy", params, (*corners, "choose-scale"), START_S)


def _by_adapter(recipe: Recipe, base_key: str) -> Stage:
    corners = [model_stage(CORNERS[corner]) for corner in ("c", "plus", "minus")]
    params = {"corners": corners, "choice": "choose-scale", "base": recipe.base, "base_key": base_key}
    return Stage(BY_ADAPTER, "by_adapter", params, (*corners, "choose-scale"), START_S)


def _window(recipe: Recipe) -> Window:
    return recipe.evaluation.window or recipe.training.window


def _sum(sizes: list[Size]) -> Size:
    total = NOTHING
    for size in sizes:
        total = total.plus(size)
    return total
