"""The stages behind each strategy that chooses λ of the analogy."""

from __future__ import annotations

from typing import Any

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.combining import add_sweep
from speech_analogy.adaptation.plan.draft import SET_OF, Draft, by_domain
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe, Strategy
from speech_analogy.adaptation.stages.evaluation import PART_IN_WORDS
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.evaluation_params import EvaluateParams, PickParams, ScaleParams
from speech_analogy.errors import ConfigError
from speech_analogy.systems.catalogue import CORNERS

UNLABELLED_IN_WORDS = {**PART_IN_WORDS, "target_train": "unlabelled target recordings"}


def add_scale_choices(draft: Draft) -> None:
    """The stages of every strategy that the recipe asks for."""
    add = {
        "source_dev": _add_source_dev,
        "fixed": _add_fixed,
        "agreement": _add_agreement,
        "leave_one_domain_out": _add_leave_one_domain_out,
    }
    for strategy, name in strategies(draft.recipe).items():
        add[strategy](draft, name)


def add_analogy_evaluation(draft: Draft, part: str, scale: float) -> Stage:
    """The analogy at one λ on a part."""
    params = EvaluateParams(**draft.transcription("analogy", part), corners=draft.corners, scale=float(scale))
    return draft.add(names.evaluation(part, "analogy", scale), params, draft.decoding_cost(part))


def strategies(recipe: Recipe) -> dict[Strategy, str]:
    """The strategies a recipe asks for -> the stage that chooses; one of them is the one whose λ is taken."""
    rules = recipe.scale_selection
    if recipe.vector is not None:
        return {"fixed": names.CHOOSE_SCALE}
    others = {name: names.choose_scale_by(name) for name in rules.compare if name != rules.strategy}
    return {rules.strategy: names.CHOOSE_SCALE, **others}


def tested_scales(recipe: Recipe) -> list[float]:
    """The λs of the analogy's curve, ascending: the grid, and the fixed one where it is asked for."""
    fixed = [fixed_scale(recipe)] if "fixed" in strategies(recipe) else []
    return sorted({*recipe.scales, *fixed})


def fixed_scale(recipe: Recipe) -> float:
    """λ where it is not chosen: a given vector's own, or the recipe's."""
    return recipe.scale_selection.fixed if recipe.vector is None else recipe.vector.scale


def source_domains(recipe: Recipe, held_out: dict[str, int], trained: dict[str, int]) -> list[str]:
    """The source domains that play the target in leave-one-domain-out.

    Args:
        held_out, trained: domain -> utterances of held-out and of training source speech.

    Raises:
        ConfigError: one that was named has none of either, or none is left.
    """
    rules = recipe.scale_selection
    enough = {name for name, count in held_out.items() if count >= rules.utterances and trained.get(name)}
    for name in rules.domains:
        if not held_out.get(name) or not trained.get(name):
            known = ", ".join(sorted(enough))
            raise ConfigError(
                "a source domain must have held-out and training utterances",
                field="scale_selection.domains",
                value=name,
                do=f"there are: {known}",
            )
    found = list(rules.domains) or sorted(enough)
    if not found:
        raise ConfigError(
            f"no source domain has {rules.utterances} held-out utterances",
            field="scale_selection.utterances",
            do="ask for fewer, or hold out more source speech",
        )
    return found


def _add_source_dev(draft: Draft, name: str) -> None:
    """λ by the WER of the analogy at every λ of the grid on the held-out parts."""
    parts = tuple(
        (add_analogy_evaluation(draft, part, scale)["score"], part)
        for part in draft.recipe.scale_chosen_on
        for scale in draft.recipe.scales
    )
    draft.add(name, ScaleParams(parts=parts))


def _add_fixed(draft: Draft, name: str) -> None:
    """λ as the recipe gives it."""
    draft.add(name, PickParams(strategy="fixed", scale=fixed_scale(draft.recipe)))


def _add_agreement(draft: Draft, name: str) -> None:
    """λ by agreement on audio whose texts are not read."""
    part = draft.recipe.scale_selection.unlabelled
    textless: dict[str, Any] = {}
    if draft.recipe.target is not None and part == "target_train":
        textless["unlabelled"] = True
    cuts = SET_OF.get(part, part)
    sweep = add_sweep(draft, names.AGREEMENT_SWEEP, "analogy", cuts, corners=draft.corners, **textless)
    sweeps = ((sweep["curve"], UNLABELLED_IN_WORDS[part]),)
    draft.add(name, PickParams(strategy="agreement", sweeps=sweeps))


def _add_leave_one_domain_out(draft: Draft, name: str) -> None:
    """Every source domain plays the target: a C of its synthetic speech, and the shared A and B or its own."""
    held_out, trained = by_domain(draft.parts.source_dev), by_domain(draft.parts.source_train)
    sweeps = []
    for domain in source_domains(draft.recipe, held_out, trained):
        share = trained[domain] / max(1, sum(trained.values()))
        label = names.slug(domain)
        c = _finetune(draft, CORNERS["minus"], names.of_group, label, share, domains=(domain,))
        plus, minus = draft.model(CORNERS["plus"]), draft.model(CORNERS["minus"])
        if draft.recipe.scale_selection.own_corners:
            plus, minus = (
                _finetune(draft, system, names.without_domain, label, 1 - share, without=(domain,))
                for system in (CORNERS["plus"], CORNERS["minus"])
            )
        dev = draft.size["source_dev"].times(held_out[domain] / max(1, sum(held_out.values())))
        sweep = add_sweep(
            draft, names.domain_sweep(domain), "analogy", "source_dev", None, dev,
            corners=(c, plus, minus), domains=(domain,),
        )  # fmt: skip
        sweeps.append((sweep["curve"], domain))
    draft.add(name, PickParams(strategy="leave_one_domain_out", sweeps=tuple(sweeps)))


def _finetune(draft: Draft, system: str, called: Any, label: str, share: float, **kept: Any) -> Output:
    """A fine-tuning on a part of its speech."""
    params, cost = draft.finetuning(system, **kept)
    return draft.add(called(names.finetune(system), label), params, cost * share)["model"]
