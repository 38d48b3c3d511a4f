"""From a recipe to its plan: which stages there are, and in which order they can be done."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.combining import (
    add_analogy,
    add_by_adapter,
    add_combined,
    add_mean,
    add_mean_model,
    add_published_evaluation,
    add_widened,
    add_written,
    evaluated_parts,
    published_stage,
)
from speech_analogy.adaptation.plan.cut_sets import add_speech
from speech_analogy.adaptation.plan.draft import Draft
from speech_analogy.adaptation.plan.estimate import START_S, decode_cost
from speech_analogy.adaptation.plan.given_vector import add_given_vector
from speech_analogy.adaptation.plan.group_vectors import add_vectors
from speech_analogy.adaptation.plan.scales import add_analogy_evaluation, add_scale_choices, tested_scales
from speech_analogy.adaptation.plan.search import add_search
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.plan.stand_ins import (
    add_decided,
    add_decision,
    add_published,
    add_truth,
    is_decided,
    trained_for,
)
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.stages.params.evaluation_params import EvaluateParams, InDecodersParams
from speech_analogy.errors import WeightsUnavailableError
from speech_analogy.export.other_decoders import require_decoders
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.systems.catalogue import (
    COMBINATIONS,
    MEANS,
    made_of,
    needs_adapters,
    needs_analogy,
    trained_systems,
)
from speech_analogy.training.packing.batches import require_timestamps


class Planner:
    """Plans one recipe.

    Args:
        recipe: what is planned.
        folder: that the recipe's paths are relative to.
        parts: the divided corpus; its sizes give the estimates.
        corpus_digest: of all the corpus's cuts; a changed recording means that everything is redone.
        base_key: of the base's weights.

    Raises:
        ConfigError: a way of training that the base's family does not have.
    """

    def __init__(self, recipe: Recipe, folder: Path, parts: Split, corpus_digest: str, base_key: str) -> None:
        self.recipe = recipe
        with suppress(WeightsUnavailableError):  # a plan can be looked at without its weights
            require_timestamps(family_of(resolve_weights(recipe.base)), recipe.training)
        self.draft = Draft(recipe, folder, parts, corpus_digest, base_key)

    def plan(self, run: Path, siblings: Iterable[Path] = ()) -> Plan:
        """All stages of the recipe, for a run's folder; see `Plan` for `siblings`.

        Raises:
            ConfigError: the recipe asks for what its corpus does not have.
        """
        return Plan(run, self.stages(), siblings)

    def stages(self) -> list[Stage]:
        """All stages, each behind the ones it needs."""
        if not self.draft.stages:
            self._add_speech()
            self._add_trainings()
            self._add_choices()
            for part in evaluated_parts(self.recipe):
                for system in self.recipe.systems if part in self.draft.cuts else ():
                    self._add_evaluation(system, part)
            self._add_published()
        return list(self.draft.stages.values())

    def _add_speech(self) -> None:
        add_speech(self.draft)

    def _add_trainings(self) -> None:
        draft = self.draft
        if self.recipe.search:
            draft.training_choice = add_search(draft, self.recipe.search)
        decided = trained_for(self.recipe.stand_ins) if self.recipe.decides else ()
        for system in trained_systems((*self.recipe.systems, *decided), self.recipe.vector is not None):
            draft.add(names.finetune(system), *draft.finetuning(system))
        add_vectors(draft)
        if self.recipe.vector is not None:
            add_given_vector(draft, self.recipe.vector)

    def _add_choices(self) -> None:
        systems = self.recipe.systems
        if self.recipe.decides:
            add_decision(self.draft)
            add_published(self.draft)
            systems = tuple(system for system in systems if not is_decided(system))
        elif needs_analogy(systems):
            add_scale_choices(self.draft)
        if any("analogy" in made_of(system) - {system} for system in systems):
            add_analogy(self.draft)
        if any(map(needs_adapters, systems)):
            add_by_adapter(self.draft)

    def _add_evaluation(self, system: str, part: str) -> None:
        """One system on one part."""
        draft = self.draft
        if self.recipe.decides and is_decided(system):
            add_decided(draft, system, part)
        elif system == "analogy":
            # In the recipe's order; the choice of λ may have transcribed some of them.
            for scale in dict.fromkeys([*self.recipe.scales, *tested_scales(self.recipe)]):
                add_analogy_evaluation(draft, part, scale)
        elif system in COMBINATIONS:
            add_combined(draft, system, part)
        elif system in MEANS:
            add_mean(draft, system, part)
        else:
            published = system == "zero_shot"
            model = draft.base if published else {"model": draft.model(system)}
            window = (self.recipe.evaluation.window or "full") if published else None
            params = EvaluateParams(**draft.transcription(system, part), **model)
            draft.add(names.evaluation(part, system), params, draft.decoding_cost(part, window))

    def _add_published(self) -> None:
        self._add_model()
        made = add_widened(self.draft, published_stage(self.recipe))
        if made == names.WIDENED and not self.recipe.decides:
            add_published_evaluation(self.draft, made)
        self._add_in_decoders(made)

    def _add_in_decoders(self, published: str) -> None:
        """The published model in other decoders, on some of the reported part."""
        draft, recipe, asked = self.draft, self.recipe, self.recipe.other_decoders
        part = recipe.evaluation.part
        if asked is None or part not in draft.cuts or published not in draft.stages:
            return
        require_decoders(asked.decoders)
        params = InDecodersParams(
            model=draft.stages[published]["model"],
            cuts=draft.cuts[part],
            decoders=asked.decoders,
            utterances=asked.utterances,
            seed=recipe.seed,
            language=recipe.language,
            cluster=recipe.evaluation.cluster,
        )
        size = draft.size[part]
        some = size.times(min(1.0, asked.utterances / max(1, size.utterances)))
        cost = START_S + len(asked.decoders) * (decode_cost(some, "full") - START_S)
        draft.add(names.IN_DECODERS, params, cost)

    def _add_model(self) -> None:
        if self.recipe.decides:
            if self.recipe.stand_ins.truth:
                add_truth(self.draft, self.recipe.evaluation.part)
            return
        if "analogy" in self.recipe.systems:
            add_analogy(self.draft)
        if self.recipe.publish in MEANS:
            add_mean_model(self.draft, self.recipe.publish)
        elif self.recipe.publish is not None:
            add_written(self.draft, self.recipe.publish)
