"""One domain as the target: its plan, and the stages that are handed to it finished instead of being done anew."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lhotse import CutSet

from data_synth.plan.options import SynthesisOptions
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.adaptation.execution.local import speaking_workers
from speech_analogy.adaptation.plan.estimate import START_S, Size
from speech_analogy.adaptation.plan.stage import DONE_FILE, Plan, Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.adapt import is_measured
from speech_analogy.adaptation.split import Split, texts_of, write_parts, write_texts
from speech_analogy.adaptation.stages.registry import VERSIONS
from speech_analogy.adaptation.stages.work import CUTS_FILE, TEXTS_FILE
from speech_analogy.corpora.cuts import domain_of, text_of
from speech_analogy.corpora.read import read_cuts, write_cuts

Source = Literal["others", "rest"]
"""What is source: all domains but the target, as in the paper; or only those that are never a target, so that A and B
are trained once and shared by all targets."""

GIVEN = "given"  # the kind of stages that are filled here, not by a worker
SHARED = re.compile(
    r"finetune-source_(synthetic|real|both)(-(of|without)-.+)?|speaker-clusters|vectors-(mean|ties|dare)"
)
HEARD = re.compile(
    r"(evaluate-(zero_shot|source_(synthetic|real))|sweep-scaled_source_real)-on-source_dev|sweep-domain-.+"
)
"""Stages that hang on the source alone, so that one target's serve all where the source is the same."""
TRAINED_KINDS = ("finetune", "analogy", "vectors", "mean", "written")


@dataclass(frozen=True)
class Speech:
    """One domain's texts as one side of the recipe speaks them: a plan of one stage."""

    texts: list[Text]
    options: SynthesisOptions
    plan: Plan
    stage: str

    @property
    def folder(self) -> Path:
        return self.plan.folder(self.stage)

    @property
    def size(self) -> Size:
        return Size.of_texts([text.text for text in self.texts]).times(self.options.voices_per_text)


@dataclass(frozen=True)
class Target:
    """One domain as the target: its recipe, who sees what, its plan, and the speech of A's and C's texts."""

    domain: str
    recipe: Recipe
    parts: Split
    plan: Plan
    spoken: dict[str, list[Speech]]  # `synthesise-source` and `synthesise-target` -> what is joined
    shared: dict[str, Path]  # stage -> the finished one of the first target
    seed: int | None = None  # of the fine-tunings; None: the recipe's

    @property
    def label(self) -> str:
        return self.domain if self.seed is None else f"{self.domain}, seed {self.seed}"

    def is_finished(self) -> bool:
        """Done with this very plan; its models may have been removed since."""
        return is_measured(self.plan)


class Voices:
    """The speech of every domain and side, planned once."""

    def __init__(self, recipe: Recipe, cuts: CutSet, folder: Path) -> None:
        rules = recipe.split
        trained = [cut for cut in cuts if rules.field is None or str(cut.custom.get(rules.field)) == rules.train]
        self._texts: dict[str, list[Text]] = {}
        for text in texts_of(CutSet.from_cuts(trained), unique=True):
            self._texts.setdefault(text.domain, []).append(text)
        self._folder = folder
        self.made: dict[Path, Speech] = {}

    def of(self, domain: str, side: Stage) -> Speech:
        """One domain's texts, spoken as this `synthesise-…` stage says."""
        texts = self._texts[domain]
        words = json.dumps([[text.id, text.text] for text in texts], ensure_ascii=False)
        params = {key: value for key, value in side.params.items() if key != "side"}
        params["texts"] = hashlib.sha256(words.encode()).hexdigest()
        name = f"speech-{domain}"
        plan = Plan(self._folder, [Stage(name, GIVEN, params)], {GIVEN: VERSIONS["synthesis"]})
        made = Speech(texts, SynthesisOptions.model_validate(side.params["options"]), plan, name)
        return self.made.setdefault(made.folder, made)


def target_of(
    domain: str, recipe: Recipe, parts: Split, built: Plan, voices: Voices, source: Source, first: Plan | None
) -> Target:
    """A plan whose split, synthesis and (with `first`) shared fine-tunings are handed over."""
    of_source = sorted({domain_of(cut) for cut in parts.source_train})
    spoken = {
        "synthesise-source": [voices.of(name, built.stages["synthesise-source"]) for name in of_source],
        "synthesise-target": [voices.of(domain, built.stages["synthesise-target"])],
    }
    stages, shared = [], {}
    for stage in built:
        params, needs = stage.params, stage.needs
        if stage.name == "corpus":
            continue  # it was read to know the domains
        if stage.name in ("split", "texts"):
            params, needs = {**params, "source": source, "digest": built.stages["corpus"].params["digest"]}, ()
        elif stage.name in spoken:
            params = {"parts": [one.folder.name for one in spoken[stage.name]]}
        elif first is not None and (SHARED.fullmatch(stage.name) or heard_alike(stage, first)):
            shared[stage.name] = first.folder(stage.name)
            params = {**params, "same_as": first.folder(stage.name).name}
        else:
            stages.append(stage)
            continue
        stages.append(replace(stage, kind=GIVEN, params=params, needs=needs, cost_s=START_S / 10))
    return Target(domain, recipe, parts, Plan(built.run, stages, {**VERSIONS, GIVEN: 1}), spoken, shared)


def heard_alike(stage: Stage, first: Plan) -> bool:
    """Whether the first target heard it the same way: `evaluation.backend: auto` goes by the size of the test."""
    return HEARD.fullmatch(stage.name) is not None and stage.params == first.stages[stage.name].params


def speak(speech: Speech, workers: int | None, progress: bool) -> None:
    """Goes on where it was killed: synthesis keeps a ledger in the folder that is being built."""

    def fill(folder: Path) -> None:
        processes = speaking_workers(speech.options.engines, workers)
        options = speech.options.model_copy(update={"workers": processes})
        synthesize(speech.texts, folder, options, progress=progress, clips_root=speech.folder)

    _give(speech.plan, speech.stage, fill)


def hand_over(target: Target) -> None:
    """Fill the stages that are not a worker's."""

    _give(target.plan, "split", lambda folder: write_parts(target.parts, folder))
    _give(target.plan, "texts", lambda folder: write_texts(target.parts.target_texts, folder / TEXTS_FILE))
    wanted_of = {
        "synthesise-source": {(domain_of(cut), text_of(cut).casefold()) for cut in target.parts.source_train},
        "synthesise-target": {(text.domain, text.text.casefold()) for text in target.parts.target_texts},
    }
    for stage, pool in target.spoken.items():
        wanted = wanted_of[stage]
        _give(target.plan, stage, lambda folder, pool=pool, wanted=wanted: _join(pool, wanted, folder))  # type: ignore[misc]
    for stage, finished in target.shared.items():
        _give(target.plan, stage, lambda folder, finished=finished: _link(finished, folder))  # type: ignore[misc]


def _join(pool: list[Speech], wanted: set[tuple[str, str]], folder: Path) -> None:
    """The clips of several domains in one file; only those whose texts B hears (A) or the target tells (C)."""
    cuts = [
        cut
        for speech in pool
        for cut in read_cuts(speech.folder / CUTS_FILE)
        if (domain_of(cut), text_of(cut).casefold()) in wanted
    ]
    write_cuts(CutSet.from_cuts(cuts), folder / CUTS_FILE, overwrite=True)


def _link(finished: Path, folder: Path) -> None:
    """The files of a finished stage, but for its mark."""
    shutil.rmtree(folder)
    shutil.copytree(finished, folder, copy_function=os.link, ignore=shutil.ignore_patterns(DONE_FILE))


def _give(plan: Plan, name: str, fill: Callable[[Path], None]) -> None:
    """Fill a stage's folder beside its final name, mark it and rename it."""
    if plan.is_done(name):
        return
    building, start = plan.building(name), time.monotonic()
    building.mkdir(parents=True, exist_ok=True)
    fill(building)
    record = {"name": name, "seconds": round(time.monotonic() - start, 1)}
    (building / DONE_FILE).write_text(json.dumps(record) + "\n", encoding="utf-8")
    building.rename(plan.folder(name))


def remove_models(target: Target) -> None:
    """Every model of a finished target; its scores, hypotheses and speech stay."""
    for stage in target.plan:
        if stage.kind in TRAINED_KINDS or (stage.name in target.shared and not HEARD.fullmatch(stage.name)):
            shutil.rmtree(target.plan.folder(stage.name), ignore_errors=True)
