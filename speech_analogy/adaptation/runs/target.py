"""One domain as the target: its plan, and the speech that it shares with other targets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lhotse import CutSet

from data_synth.plan.options import SynthesisOptions
from data_synth.text.texts import Text
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.cut_sets import add_real, add_synthetic_set, side_options, spoken_texts, spoken_with
from speech_analogy.adaptation.plan.draft import Draft
from speech_analogy.adaptation.plan.estimate import START_S, Size, synthesis_cost
from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.key import is_measured
from speech_analogy.adaptation.split import Split, texts_of
from speech_analogy.adaptation.stages.params.base import Elsewhere
from speech_analogy.adaptation.stages.params.speech_params import (
    JoinedParams,
    SpeechParams,
    TargetSplitParams,
    TargetTextsParams,
)
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.corpora.splits import digest

Source = Literal["others", "rest"]
"""What is source: all domains but the target, as in the paper; or only those that are never a target, so that A and B
are trained once and shared by all targets."""

HANDED_OVER_S = START_S / 10  # a stage that only divides or joins what is there


@dataclass(frozen=True)
class Target:
    """One domain as the target: its recipe, its plan, and the plan of the speech that it takes from a common folder."""

    domain: str
    recipe: Recipe
    plan: Plan
    speech: Plan
    seed: int | None = None  # of the fine-tunings; None: the recipe's

    @property
    def label(self) -> str:
        return self.domain if self.seed is None else f"{self.domain}, seed {self.seed}"

    def is_finished(self) -> bool:
        """Done with this very plan; its models may have been removed since."""
        return is_measured(self.plan)


class Voices:
    """The speech of every domain and side, each a stage in one common folder.

    Args:
        recipe: says which of the cuts are for training.
        cuts: the whole corpus.
        folder: where the speech goes.
    """

    def __init__(self, recipe: Recipe, cuts: CutSet, folder: Path) -> None:
        rules = recipe.experiment.split
        trained = [cut for cut in cuts if rules.field is None or str(cut.custom.get(rules.field)) == rules.train]
        self._texts: dict[str, list[Text]] = {}
        for text in texts_of(CutSet.from_cuts(trained), unique=True):
            self._texts.setdefault(text.domain, []).append(text)
        self.folder = folder

    def of(self, domain: str, options: SynthesisOptions) -> Stage:
        """One domain's texts, spoken with these options."""
        texts = self._texts[domain]
        words = json.dumps([[text.id, text.text] for text in texts], ensure_ascii=False)
        params = SpeechParams(
            domain=domain,
            spoken=tuple(texts),
            texts=hashlib.sha256(words.encode()).hexdigest(),
            **spoken_with(options),
        )
        cost = synthesis_cost(_size_of(params), options.engines)
        return Stage(names.speech(domain), params, cost)


def size_of_speech(stage: Stage) -> Size:
    """How much speech a stage of a target's speech plan makes."""
    assert isinstance(stage.params, SpeechParams), f"{stage.name} is not speech"
    return _size_of(stage.params)


def _size_of(params: SpeechParams) -> Size:
    return Size.of_texts([text.text for text in params.spoken]).times(params.options.voices_per_text)


class TargetPlanner(Planner):
    """Plans a recipe whose corpus another plan has read, and whose texts are spoken domain by domain for all targets.

    Args:
        corpus: the folder of the stage that has read the corpus.
        left_out: domains that are neither source nor target.
        source: what is source.
        voices: the speech of every domain.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        parts: Split,
        corpus_digest: str,
        base_key: str,
        *,
        corpus: Path,
        left_out: Sequence[str],
        source: Source,
        voices: Voices,
    ) -> None:
        super().__init__(recipe, folder, parts, corpus_digest, base_key)
        self.corpus, self.left_out, self.source, self.voices = Elsewhere(corpus), tuple(left_out), source, voices
        self.speech: list[Stage] = []

    def _add_speech(self) -> None:
        draft, parts = self.draft, self.draft.parts
        given = {"left_out": self.left_out, "source": self.source, "digest": draft.corpus_digest}
        common = digest(CutSet.from_cuts([*parts.source_train, *parts.source_dev])) if self.source == "rest" else None
        split = draft.add(
            names.SPLIT,
            TargetSplitParams.of(self.recipe, self.corpus, source_digest=common, **given),
            HANDED_OVER_S,
        )
        texts = draft.add(names.TEXTS, TargetTextsParams.of(self.recipe, self.corpus, **given), HANDED_OVER_S)
        add_real(draft, split)
        self._add_joined(draft, "source", split, "source_train", sorted({domain_of(cut) for cut in parts.source_train}))
        self._add_joined(draft, "target", texts, "texts", list(self.recipe.target_domains))

    def _add_joined(self, draft: Draft, side: str, stage: Stage, output: str, domains: list[str]) -> None:
        """A's or C's speech, of the speech of these domains."""
        options = side_options(draft, side)
        speech = [self.voices.of(domain, options) for domain in domains]
        self.speech += speech
        there = Plan(self.voices.folder, speech)
        folders = [there.folder(one.name) for one in speech]
        params = JoinedParams(
            wanted=stage[output],
            spoken=tuple(Elsewhere(folder) for folder in folders),
            parts=tuple(folder.name for folder in folders),
        )
        made = draft.add(names.synthesis(side), params, HANDED_OVER_S)
        add_synthetic_set(draft, side, made, options, spoken_texts(draft, side))

    def speech_plan(self) -> Plan:
        """What must be spoken before the plan is done."""
        self.stages()
        return Plan(self.voices.folder, self.speech)
