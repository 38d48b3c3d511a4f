"""The stages that choose learning rates and epochs on held-out source speech."""

from __future__ import annotations

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.draft import Draft
from speech_analogy.adaptation.plan.estimate import decode_cost, finetune_cost, sum_of
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe_options import SearchOptions
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.training_params import ChoiceParams, TrialParams
from speech_analogy.systems.catalogue import SEARCHED, TRAINED_ON


def add_search(draft: Draft, search: SearchOptions) -> Output:
    """Learning rates are compared at the fewest epochs, then more epochs at each system's best rate.

    Returns:
        the choice that fine-tunings take their values from.
    """
    first, *more = sorted(search.epochs)
    by_rate = [
        _trial(draft, search, system, {"learning_rate": rate, "epochs": first}, None)
        for system in SEARCHED
        for rate in search.learning_rates
    ]
    if not more:
        return _choice(draft, names.CHOOSE_TRAINING, by_rate)
    rate_choice = _choice(draft, names.CHOOSE_RATE, by_rate)
    by_epochs = [
        _trial(draft, search, system, {"epochs": epochs}, rate_choice) for system in SEARCHED for epochs in more
    ]
    return _choice(draft, names.CHOOSE_TRAINING, by_rate + by_epochs)


def _choice(draft: Draft, name: str, trials: list[Stage]) -> Output:
    return draft.add(name, ChoiceParams(trials=tuple(trial["score"] for trial in trials)))["choice"]


def _trial(
    draft: Draft, search: SearchOptions, system: str, override: dict[str, int | float], rate_choice: Output | None
) -> Stage:
    params = TrialParams(
        **draft.training(system),
        override=override,
        source_utterances=search.source_utterances,
        dev=draft.cuts["source_dev"],
        choice=rate_choice,
        searched_as=None if rate_choice is None else system,
    )
    whole, training = draft.size["source_real"], draft.recipe.training
    share = min(1.0, search.source_utterances / whole.utterances)
    others = [draft.size[name] for name in TRAINED_ON[system] if name != "source_real"]
    epochs = int(override["epochs"])
    cost = finetune_cost(sum_of([whole.times(share), *others]), epochs, training)
    cost += decode_cost(draft.size["source_dev"], training.window)
    return draft.add(names.trial(system, override.get("learning_rate"), epochs), params, cost)
