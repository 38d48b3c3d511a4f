"""A plan in the making: the recipe, the stages so far, and where each set of cuts is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.estimate import (
    Size,
    as_decoded,
    decode_cost,
    finetune_cost,
    memory_of,
    sum_of,
    weights_bytes,
)
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import EvaluationOptions, Recipe
from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.stages.params.base import Output, StageParams
from speech_analogy.adaptation.stages.params.training_params import FinetuneParams
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.loading import choose_backend, ctranslate2_installed, may_decode
from speech_analogy.recognisers.windows import Window
from speech_analogy.systems.catalogue import BASE, CORNERS, TRAINED_ON, TRAININGS, searched_as
from speech_analogy.training.options import EwcOptions

SET_OF = {"source_train": "source_real", "target_train": "target_real"}  # what a part is called among training sets


@dataclass
class Draft:
    """What every part of the planner reads and adds to.

    Args:
        recipe: what is planned.
        folder: that the recipe's paths are relative to.
        parts: the divided corpus; its sizes give the estimates.
        corpus_digest: of all the corpus's cuts; a changed recording means that everything is redone.
        base_key: of the base's weights.
        prefix: before the names of its stages, where it is a part of another plan.
    """

    recipe: Recipe
    folder: Path
    parts: Split
    corpus_digest: str
    base_key: str
    prefix: str = ""
    stages: dict[str, Stage] = field(default_factory=dict)
    """Name without the prefix -> stage."""
    cuts: dict[str, Output] = field(default_factory=dict)
    """Set of cuts -> the output that holds it."""
    size: dict[str, Size] = field(default_factory=dict)
    """Set of cuts -> how much speech it is."""
    training_choice: Output | None = None
    """The choice of learning rates and epochs, where the recipe searches."""

    def add(self, name: str, params: StageParams, cost_s: float = 1.0) -> Stage:
        """A stage, added behind the ones it needs; one that is there already is returned as it is.

        Raises:
            ValueError: another stage has this name.
        """
        made = as_decoded(Stage(self.prefix + name, params, cost_s))
        made = replace(made, resources=memory_of(made, self.base_bytes))
        there = self.stages.setdefault(name, made)
        if there.params != params:
            raise ValueError(f"two stages are called {name}")
        return there

    def take(self, part: Draft) -> None:
        """The stages of a draft that is a part of this one, under their full names."""
        for stage in part.stages.values():
            self.stages[stage.name] = stage

    def add_set(self, name: str, output: Output, size: Size) -> None:
        """A set of cuts that stages train or test with."""
        self.cuts[name], self.size[name] = output, size

    @cached_property
    def base_bytes(self) -> int:
        return weights_bytes(self.recipe.base)

    @property
    def base(self) -> dict[str, str]:
        """The base as stages' parameters name it."""
        return {"base": self.recipe.base, "base_key": self.base_key}

    @property
    def window(self) -> Window:
        """What tuned models are decoded in."""
        return self.recipe.evaluation.window or self.recipe.training.window

    def model(self, system: str) -> Output:
        """The model that a system's stage makes."""
        return self.stages[names.model(system)]["model"]

    def corner(self, system: str) -> Output | None:
        """A model that is combined with others; None stands for the base."""
        return None if system == BASE else self.model(system)

    @property
    def corners(self) -> tuple[Output, Output, Output]:
        """C, B and A of the analogy; where τ_B − τ_A is given, B is the base plus it, and A the base."""
        if self.recipe.vector is not None:
            gap = self.stages[names.GAP_MODELS]
            return self.model(CORNERS["c"]), gap["plus"], gap["minus"]
        return self.model(CORNERS["c"]), self.model(CORNERS["plus"]), self.model(CORNERS["minus"])

    def training(self, system: str) -> dict[str, Any]:
        """What every fine-tuning is given."""
        recipe = self.recipe
        seed = recipe.seed if recipe.training_seed is None else recipe.training_seed
        options = recipe.training_for(system, TRAININGS[system].like)
        return {
            "system": system,
            "sets": {name: self.cuts[name] for name in TRAINED_ON[system]},
            **self.base,
            "training": options.model_copy(update={"seed": seed, "language": recipe.language}),
        }

    def finetuning(self, system: str, **more: Any) -> tuple[FinetuneParams, float]:
        """A system's fine-tuning, and its cost; `more` says which part of its speech it keeps."""
        recipe, training = self.recipe, TRAININGS[system]
        given = {**self.training(system), **more}
        if self.training_choice is not None:
            given |= {"choice": self.training_choice, "searched_as": searched_as(system)}
        if training.start is not None:
            given["continues"] = self.model(training.start)
        if training.slower:
            given["slower"] = recipe.controls.continued_rate
        if training.replay:
            given["replay"] = recipe.controls.replay_share
        if training.anchored:
            given["remember"] = self.cuts["source_real"]
            ewc = EwcOptions(strength=recipe.controls.ewc_strength)
            given["training"] = given["training"].model_copy(update={"ewc": ewc})
        if training.freeze:
            given["training"] = given["training"].model_copy(update={"freeze": training.freeze})
        share = recipe.controls.replay_share if training.replay else 1.0
        size = sum_of(self.size[name].times(share if name == "source_real" else 1.0) for name in training.sets)
        epochs = max(recipe.search.epochs) if recipe.search else recipe.training_for(system, training.like).epochs
        return FinetuneParams(**given), finetune_cost(size, epochs, recipe.training)

    def transcription(self, system: str, part: str) -> dict[str, Any]:
        """What every evaluation is given."""
        options = self.recipe.evaluation
        settled = EvaluationOptions.model_construct(**{**dict(options), "backend": self._backend})
        return {
            "system": system,
            "cuts": self.cuts[part],
            "evaluation": settled,
            "language": self.recipe.language,
        }

    @cached_property
    def _backend(self) -> str:
        """One backend for every system of a run, since they are compared; it does not depend on what a cache holds."""
        options = self.recipe.evaluation
        if options.backend != "auto":
            return options.backend
        part = next(part for part in (options.part, "source_dev", "source_real") if part in self.size)
        window_s = self.size[part].window_s(self.window)
        on_cpu = find_device().type == "cpu"
        usable = ctranslate2_installed() and may_decode(self.recipe.base, "ctranslate2")
        return choose_backend(window_s, on_cpu=on_cpu, installed=usable, converted=False)

    def decoding_cost(self, part: str, window: Window | None = None) -> float:
        """Seconds on one core to transcribe a part with one system."""
        return decode_cost(self.size[part], window or self.window)


def by_domain(cuts: Iterable[Any]) -> Counter[str]:
    """Domain -> utterances."""
    return Counter(domain_of(cut) for cut in cuts)
