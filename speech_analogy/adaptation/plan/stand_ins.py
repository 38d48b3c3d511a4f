"""The stages of stand-in domains: each plays the target with its own corners, and together they decide."""

from __future__ import annotations

from typing import Any

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.combining import add_published_evaluation, add_widened
from speech_analogy.adaptation.plan.cut_sets import side_options, spoken_with
from speech_analogy.adaptation.plan.draft import Draft
from speech_analogy.adaptation.plan.estimate import START_S, Size, decode_cost, synthesis_cost
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.evaluation_params import EvaluateParams
from speech_analogy.adaptation.stages.params.speech_params import SynthesisParams
from speech_analogy.adaptation.stages.params.stand_in_params import (
    NONE_ASKED_FOR,
    DecidedParams,
    DecisionParams,
    PublishedParams,
    StandInParams,
    SumsParams,
)
from speech_analogy.adaptation.stand_in_options import USUAL, StandInOptions
from speech_analogy.adaptation.standing_in import StandIn, choose_stand_ins
from speech_analogy.systems.catalogue import BASE, CORNERS, TRAININGS
from speech_analogy.systems.sums import is_sum, made_of_trainings, shares_of, takes_scale

UNADAPTED = CORNERS["plus"]  # beside the base: what is published where nothing is gained


def trained_for(rules: StandInOptions) -> tuple[str, ...]:
    """The trainings that the candidates are made of, and the source's own."""
    needed = {UNADAPTED}.union(*(made_of_trainings(system) for system in rules.systems))
    return tuple(name for name in TRAININGS if name in needed)


def is_decided(system: str) -> bool:
    """Is the system a sum of several models, whose λ the stand-ins choose?"""
    return is_sum(system) and system != "zero_shot" and system not in TRAININGS


def add_decision(draft: Draft) -> Stage:
    """Every stand-in's corners and scores, and the stage that decides by them."""
    recipe, rules = draft.recipe, draft.recipe.stand_ins
    parts = draft.parts
    stand_ins: list[StandIn] = []
    short = NONE_ASKED_FOR
    if rules.count:
        stand_ins, short = choose_stand_ins(parts.source_train, len(parts.target_texts), rules, recipe.seed)
    params = DecisionParams(
        scores=tuple(_add_stand_in(draft, stand_in)["scores"] for stand_in in stand_ins),
        usual=USUAL if USUAL in rules.systems else rules.systems[0],
        systems=rules.systems,
        fixed=recipe.scale_selection.fixed,
        short=short,
    )
    return draft.add(names.CHOOSE_SCALE, params)


def add_published(draft: Draft) -> None:
    """The model of the system that was decided on, and its evaluation where there is a test."""
    models = _trained(draft, trained_for(draft.recipe.stand_ins))
    made_of = PublishedParams(models=models, decision=_decision(draft), **draft.base)
    draft.add(names.PUBLISHED, made_of, START_S)
    add_published_evaluation(draft, add_widened(draft, names.PUBLISHED))


def add_decided(draft: Draft, system: str, part: str) -> None:
    """A sum of models on a part, at the λ that the stand-ins chose for it."""
    given = {**draft.transcription(system, part), **(draft.base if BASE in shares_of(system, 0.5) else {})}
    published = draft.stages.get(names.evaluation(part, names.PUBLISHED))
    params = DecidedParams(
        **given,
        published_score=None if published is None else published["score"],
        published_hypotheses=None if published is None else published["hypotheses"],
        models=_trained(draft, made_of_trainings(system)),
        decision=_decision(draft),
    )
    draft.add(names.evaluation(part, system), params, draft.decoding_cost(part))


def add_truth(draft: Draft, part: str) -> None:
    """Every candidate at every λ on the test, to see what the decision was worth; nothing is decided by it."""
    zero_shot = _zero_shot(draft, part)
    _add_sums(draft, names.TRUTH, part, zero_shot, label=part, group="domain", texts=0, unseen_speakers=True)


def _decision(draft: Draft) -> Output:
    return draft.stages[names.CHOOSE_SCALE]["decision"]


def _trained(draft: Draft, systems: tuple[str, ...]) -> dict[str, Output]:
    return {system: draft.model(system) for system in systems}


def _add_stand_in(draft: Draft, stand_in: StandIn) -> Stage:
    """A stand-in's own source, C, A, B and mixed; the stage of its candidates' scores."""
    recipe, label = draft.recipe, names.stand_in(stand_in.label)
    given = {"real": draft.cuts["source_real"], "synthetic": draft.cuts["source_synthetic"], "seed": recipe.seed}
    divided = draft.add(label, StandInParams.of(stand_in, **given), START_S / 10)
    on_test = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"part": "test"})})
    own = Draft(on_test, draft.folder, draft.parts, draft.corpus_digest, draft.base_key, prefix=f"{label}-")
    own.training_choice = draft.training_choice
    _add_sets(draft, own, stand_in, divided)
    for system in trained_for(recipe.stand_ins):
        own.add(names.finetune(system), *own.finetuning(system))
    scores = _add_sums(
        own,
        names.SCORES,
        "test",
        _zero_shot(own, "test"),
        label=stand_in.label,
        group=stand_in.kind,
        texts=len(stand_in.spoken),
        unseen_speakers=bool(stand_in.held_out),
    )
    draft.take(own)
    return scores


def _add_sets(draft: Draft, own: Draft, stand_in: StandIn, divided: Stage) -> None:
    """What the stand-in's trainings and its evaluation read."""
    source = draft.parts.source_train
    copies = draft.size["source_real"].utterances / max(1, len(source))
    real = Size.of(stand_in.source(source)).times(copies)
    share = real.utterances / max(1, draft.size["source_real"].utterances)
    own.add_set("source_real", divided["source_real"], real)
    own.add_set("source_synthetic", divided["source_synthetic"], draft.size["source_synthetic"].times(share))
    own.add_set("test", divided["test"], Size.of(stand_in.test(source, draft.recipe.seed)))
    options = side_options(draft, "target")
    size = Size.of_texts([text.text for text in stand_in.spoken]).times(options.voices_per_text)
    params = SynthesisParams(side="target", texts=divided["texts"], **spoken_with(options))
    made = own.add(names.synthesis("target"), params, synthesis_cost(size, options.engines))
    own.add_set("target_synthetic", made["cuts"], size)


def _zero_shot(draft: Draft, part: str) -> Output:
    """The evaluation of the base, as every recipe has it."""
    window = draft.recipe.evaluation.window or "full"
    given = {**draft.transcription("zero_shot", part), **draft.base}
    params = EvaluateParams(**given)
    return draft.add(names.evaluation(part, "zero_shot"), params, draft.decoding_cost(part, window))["score"]


def _add_sums(draft: Draft, name: str, part: str, zero_shot: Output, **described: Any) -> Stage:
    """The scores of all candidates on a part."""
    rules = draft.recipe.stand_ins
    systems = (UNADAPTED, *(system for system in rules.systems if system != UNADAPTED))
    given = {**draft.transcription("stand_in", part), **described}
    if any(BASE in shares_of(system, 0.5) for system in systems):
        given |= draft.base
    params = SumsParams(
        **given,
        models=_trained(draft, trained_for(rules)),
        systems=systems,
        scales=rules.scales,
        zero_shot=zero_shot,
    )
    tried = sum(len(rules.scales) if takes_scale(system) else 1 for system in systems)
    cost = START_S + tried * (decode_cost(draft.size[part], draft.window) - START_S)
    return draft.add(name, params, cost)
