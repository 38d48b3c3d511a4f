"""The stages behind a combined system, and behind each strategy that chooses λ: plans alone, nothing is done here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from speech_analogy.adaptation.plan.estimate import START_S, Size, decode_cost
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe, Strategy
from speech_analogy.errors import ConfigError
from speech_analogy.recognisers.windows import Window
from speech_analogy.systems.catalogue import ANALOGY, BASE, COMBINATIONS, MEANS, TRAININGS, Combination

HEARD = {"source_dev": "held-out source speech", "target_dev": "held-out target recordings"}
UNLABELLED = {**HEARD, "target_train": "unlabelled target recordings"}
VECTORS_STAGE = "vectors-"  # and how they are merged
SET_OF = {"target_train": "target_real"}  # what a part is called among the sets


@dataclass(frozen=True)
class Composer:
    """Writes the stages of one recipe.

    Args:
        evaluation: (system, set of cuts) -> the parameters that every evaluation has.
        where: set of cuts -> (stage, file).
        size: set of cuts -> how much speech it is.
        base_key: of the base's weights.
        window: what is decoded in.
    """

    recipe: Recipe
    evaluation: Callable[[str, str], dict[str, Any]]
    where: dict[str, tuple[str, str]]
    size: dict[str, Size]
    base_key: str
    window: Window

    def combined(self, system: str, part: str, stages: list[Stage]) -> None:
        """A system that is put together of finished models, heard on `part`; its λ is chosen first."""
        how = COMBINATIONS[system]
        choice = self._chosen(system, how, stages)
        for name, seed in combined_evaluations(self.recipe, system, part):
            params = {**self.evaluation(system, part), **self._parts(how)}
            if how.direction != "difference":
                params |= {"direction": how.direction, "seed": seed}
            params |= {"scale": how.fixed} if choice is None else {"choice": choice}
            needs = (*_models(how), *([choice] if choice else []), self.where[part][0])
            stages.append(Stage(name, "combined", params, _unique(needs), decode_cost(self.size[part], self.window)))

    def mean(self, system: str, part: str, stages: list[Stage]) -> None:
        """A system that is the mean of finished models, heard on `part`; the model is written first."""
        there = {stage.name for stage in stages}
        models = tuple(model_stage(name) for name in MEANS[system])
        for name in MEANS[system]:
            if name in COMBINATIONS and name not in there:
                corners = _models(COMBINATIONS[name])
                choice = self._chosen(name, COMBINATIONS[name], stages)
                assert choice is not None, f"{name} has no λ of its own"
                params = {"corners": list(corners), "choice": choice}
                stages.append(Stage(name, "analogy", params, (*corners, choice), START_S))
        if system not in there:
            stages.append(Stage(system, "mean", {"models": list(models)}, models, START_S))
        params = {**self.evaluation(system, part), "model": system}
        needs = (system, self.where[part][0])
        stages.append(
            Stage(_evaluation(part, system), "evaluate", params, needs, decode_cost(self.size[part], self.window))
        )

    def written(self, system: str, stages: list[Stage]) -> None:
        """The model folder of a system that is otherwise put together in memory alone; nothing if it is written."""
        if system not in COMBINATIONS or system in {stage.name for stage in stages}:
            return
        how = COMBINATIONS[system]
        choice = self._chosen(system, how, stages)
        params = {**self._parts(how), **({"scale": how.fixed} if choice is None else {"choice": choice})}
        needs = (*_models(how), *([choice] if choice else []))
        stages.append(Stage(system, "written", params, _unique(needs), START_S))

    def _chosen(self, system: str, how: Combination, stages: list[Stage]) -> str | None:
        """The stage that chooses the system's λ; None where it is fixed."""
        if how.fixed is not None:
            return None
        if how.chosen == "analogy":
            return "choose-scale"
        name = f"choose-scale-{system}"
        if any(stage.name == name for stage in stages):
            return name
        if how.chosen == "scopes":
            stages.append(self._scopes(name, system, how))
            return name
        sweeps = {}
        for part in self.recipe.scale_chosen_on:
            stage = self._sweep(f"sweep-{system}-on-{part}", system, self._parts(how), _models(how), part, how.scales)
            stages.append(stage)
            sweeps[stage.name] = HEARD[part]
        stages.append(Stage(name, "pick", {"strategy": "source_dev", "sweeps": sweeps}, tuple(sweeps)))
        return name

    def _scopes(self, name: str, system: str, how: Combination) -> Stage:
        rules, parts = self.recipe.scale_selection, self.recipe.scale_chosen_on
        params = {
            **self.evaluation(system, parts[0]),
            **self._parts(how),
            "parts": [list(self.where[part]) for part in parts],
            "scopes": list(rules.scopes),
            "scales": list(self.recipe.scales),
            "rounds": rules.rounds,
            "start": "choose-scale",
        }
        heard = len(self.recipe.scales) * len(rules.scopes) * rules.rounds
        cost = START_S + heard * sum(decode_cost(self.size[part], self.window) for part in parts)
        needs = (*_models(how), "choose-scale", *(self.where[part][0] for part in parts))
        return Stage(name, "scopes", params, _unique(needs), cost)

    def fixed(self, name: str) -> Stage:
        """λ as the recipe says it."""
        return Stage(name, "pick", {"strategy": "fixed", "scale": self.recipe.scale_selection.fixed})

    def agreement(self, name: str, stages: list[Stage]) -> Stage:
        """λ by agreement on audio whose texts are not read."""
        part = self.recipe.scale_selection.unlabelled
        cuts = SET_OF.get(part, part)
        how = Combination(*ANALOGY)
        stage = self._sweep("sweep-agreement", "analogy", self._parts(how), _models(how), cuts, None)
        stages.append(stage)
        params = {"strategy": "agreement", "sweeps": {stage.name: UNLABELLED[part]}}
        return Stage(name, "pick", params, (stage.name,))

    def domain_sweep(self, domain: str, corners: tuple[str, str, str], dev: Size) -> Stage:
        """The curve of one source domain that plays the target, on its own held-out recordings."""
        params = {"corners": list(corners)}
        name = f"sweep-domain-{slug(domain)}"
        stage = self._sweep(name, "analogy", params, corners, "source_dev", None, dev)
        stage.params["domains"] = [domain]
        return stage

    def _sweep(
        self,
        name: str,
        system: str,
        parts: dict[str, Any],
        models: tuple[str, ...],
        cuts: str,
        scales: tuple[float, ...] | None,
        size: Size | None = None,
    ) -> Stage:
        grid = [float(scale) for scale in (self.recipe.scales if scales is None else scales)]
        params = {**self.evaluation(system, cuts), **parts, "scales": grid}
        cost = START_S + len(grid) * (decode_cost(size or self.size[cuts], self.window) - START_S)
        return Stage(name, "sweep", params, _unique((*models, self.where[cuts][0])), cost)

    def _parts(self, how: Combination) -> dict[str, Any]:
        """What a stage is told of the models it puts together."""
        parts: dict[str, Any] = {"corners": [model_stage(name) for name in (how.c, how.plus, how.minus)]}
        if how.offset:
            parts["offset"] = how.offset
        if BASE in how.parts:
            parts |= {"base": self.recipe.base, "base_key": self.base_key}
        return parts


def combined_evaluations(recipe: Recipe, system: str, part: str) -> list[tuple[str, int]]:
    """(stage, seed) of a combined system's evaluations: one, or as many as a random control has seeds."""
    if COMBINATIONS[system].direction == "difference":
        return [(_evaluation(part, system), 0)]
    return [(_evaluation(part, f"{system}-{seed}"), seed) for seed in range(recipe.controls.seeds)]


def strategies(recipe: Recipe) -> dict[Strategy, str]:
    """The strategies a recipe asks for -> the stage that chooses: `choose-scale` is the one whose λ is taken."""
    rules = recipe.scale_selection
    others = {name: f"choose-scale-by-{name}" for name in rules.compare if name != rules.strategy}
    return {rules.strategy: "choose-scale", **others}


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


def model_stage(name: str) -> str:
    """The stage whose folder holds a model; the base has none."""
    return f"finetune-{name}" if name in TRAININGS else name


def slug(domain: str) -> str:
    """A domain as a part of a folder's name."""
    return re.sub(r"[^\w.-]+", "_", domain)


def _models(how: Combination) -> tuple[str, ...]:
    return tuple(model_stage(name) for name in how.parts if name != BASE)


def _evaluation(part: str, label: str) -> str:
    return f"evaluate-{label}" if part == "test" else f"evaluate-{label}-on-{part}"


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
