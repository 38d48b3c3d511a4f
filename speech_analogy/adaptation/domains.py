"""One recipe, one domain after the other as the target: speech is made once a domain, and one table comes out.

The protocol of arXiv 2406.02925. Every target has a run of its own, with a plan of its own; what they share is made
once and handed to them as finished stages: the synthetic speech of a domain (C of the one, part of A of the others)
and, where the source is the same for all, A and B.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lhotse import CutSet

from data_synth.synthesize import SynthesisOptions, synthesize
from data_synth.texts import Text
from speech_analogy.adaptation.adapt import RESULTS_FILE, _machine, _versions
from speech_analogy.adaptation.build import build_plan
from speech_analogy.adaptation.collect import collect
from speech_analogy.adaptation.data import PARTS, Split, read_cuts_of, split, texts_of
from speech_analogy.adaptation.domain_markdown import table_markdown, write_table
from speech_analogy.adaptation.domain_table import DomainTable, join
from speech_analogy.adaptation.estimate import START_S, Size, clock, synthesis_cost
from speech_analogy.adaptation.execution import default_workers, execute
from speech_analogy.adaptation.plan import DONE_FILE, Plan, Stage
from speech_analogy.adaptation.stages import VERSIONS
from speech_analogy.adaptation.work import CUTS_FILE, FEATURES_FOLDER, TEXTS_FILE
from speech_analogy.config import Recipe, load_recipe
from speech_analogy.corpora.cuts import domain_of, text_of
from speech_analogy.corpora.read import read_cuts, write_cuts
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import ConfigError, WeightsUnavailableError
from speech_analogy.merging.checkpoints import open_checkpoint
from speech_analogy.merging.fingerprint import fingerprint
from speech_analogy.recognisers.weights import resolve_weights

__all__ = ["DomainTable", "Domains", "describe_domains", "do_domains", "plan_domains", "table_markdown"]

Source = Literal["others", "rest"]
"""What is source: all domains but the target, as in the paper; or only those that are never a target, so that A and B
are trained once and shared by all targets."""

GIVEN = "given"  # the kind of stages that are filled here, not by a worker
SPEECH_FOLDER, TARGETS_FOLDER, KEY_FILE = "speech", "targets", "plan.sha256"
SHARED = re.compile(
    r"finetune-source_(synthetic|real|both)(-(of|without)-.+)?|speaker-clusters|vectors-(mean|ties|dare)"
)
HEARD = re.compile(
    r"(evaluate-(zero_shot|source_(synthetic|real))|sweep-scaled_source_real)-on-source_dev|sweep-domain-.+"
)
"""Stages that hang on the source alone, so that one target's serve all where the source is the same."""
TRAINED_KINDS = ("finetune", "analogy", "vectors", "mean")
FLAC_BYTES_A_SECOND = 16_000  # 16 kHz, 16 bit, about half of it after compression
TINY_BYTES = 151_000_000  # whisper-tiny in fp32, whose rates the estimates are of


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
        key = self.plan.run / KEY_FILE
        whole = key.is_file() and (self.plan.run / RESULTS_FILE).is_file()
        return whole and key.read_text(encoding="utf-8") == self.key()

    def key(self) -> str:
        names = "\n".join(self.plan.folder(stage.name).name for stage in self.plan)
        return hashlib.sha256(names.encode()).hexdigest()


@dataclass(frozen=True)
class Domains:
    """All that is to be done."""

    recipe: Recipe
    path: Path
    run: Path
    targets: list[Target]
    speech: list[Speech]
    source: Source
    base_bytes: int  # 0 where the weights are not to be had
    table: DomainTable
    """Empty, or what earlier runs have measured, which is not in `targets` then."""


def plan_domains(
    recipe: str | Path,
    run: str | Path,
    *,
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    domains: Sequence[str] = (),
    source: Source = "others",
    speech: str | Path | None = None,
    seeds: Sequence[int] = (),
    earlier: Sequence[str | Path] = (),
    progress: bool = False,
) -> Domains:
    """Every target of a recipe: `split.target_domains` are the targets. Does none of it; reads texts and headers.

    Args:
        recipe, overrides, data: as for `adapt`.
        run: the run's folder.
        domains: some of the targets; none given: all.
        source: what A and B are trained on.
        seeds: of the fine-tunings (`training_seed`): every domain is done with each; none given: the recipe's alone.
        speech: where the synthetic speech goes, so that runs with other bases find it; None: `run/speech`.
        earlier: `domains.json` of runs of the same recipe, here or on other machines: what they have is not done again.

    Raises:
        ConfigError: the recipe is not right, a domain is not among its `target_domains`, an earlier run was another
            recipe's.
        DataError: its corpus is not there, a part of it would be empty, an earlier table cannot be read.
    """
    resolved, folder = load_recipe(recipe, overrides, data)
    run = Path(run).resolve()
    known = resolved.split.target_domains
    for domain in domains:
        if domain not in known:
            raise ConfigError("is not a target of the recipe", field="targets", value=domain, do=", ".join(known))
    there = [DomainTable.read(Path(path)) for path in earlier]
    cuts = read_cuts_of(resolved, folder, decode=False, progress=progress)
    corpus = digest(cuts)
    try:
        weights = resolve_weights(resolved.base)
        base_key, base_bytes = fingerprint(open_checkpoint(weights)), _bytes_of(weights)
    except WeightsUnavailableError:
        base_key, base_bytes = "", 0
    wanted = list(itertools.product(seeds or (None,), domains or known))
    empty = DomainTable(
        resolved.title,
        resolved.note,
        list(domains or known),
        [],
        list(seeds or (None,)),
        _key_of(resolved, source, corpus, base_key),
    )
    table = join([empty, *there]) or empty
    voices = _Voices(resolved, cuts, Path(speech).resolve() if speech else run / SPEECH_FOLDER)
    targets: list[Target] = []
    for seed, domain in wanted:
        if table.has(domain, seed):
            continue
        own = resolved.model_copy(
            update={
                "title": f"{resolved.title}: {domain}" + ("" if seed is None else f", seed {seed}"),
                "split": resolved.split.model_copy(update={"target_domains": (domain,)}),
                "training_seed": resolved.training_seed if seed is None else seed,
            }
        )
        never = set(known) - {domain} if source == "rest" else set()
        heard = CutSet.from_cuts(cut for cut in cuts if domain_of(cut) not in never)
        parts = split(heard, own)
        place = run / TARGETS_FOLDER / domain
        built = build_plan(own, folder, place if seed is None else place / f"seed-{seed}", parts, corpus, base_key)
        same = [target.plan for target in targets if target.seed == seed]
        first = same[0] if same and source == "rest" else None
        targets.append(replace(_target(domain, own, parts, built, voices, source, first), seed=seed))
    return Domains(resolved, Path(recipe), run, targets, list(voices.made.values()), source, base_bytes, table)


def _key_of(recipe: Recipe, source: Source, corpus: str, base: str) -> str:
    """What tables must share to be joined: the recipe but for its words, its place and its seeds; its data and base."""
    said = recipe.model_dump(mode="json", exclude={"title", "note", "training_seed"})
    said["corpus"].pop("path")
    return hashlib.sha256(json.dumps([said, source, corpus, base], sort_keys=True).encode()).hexdigest()


def do_domains(
    job: Domains,
    *,
    keep_models: bool = True,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> DomainTable:
    """Do what `plan_domains` planned; write `targets/DOMAIN/`, `domains.json` and `domains.md` into the run's folder.

    A second call does nothing, a killed one goes on; the table is written anew after every target, each of which is
    a run like any other. What earlier tables have stands in it.

    Args:
        keep_models: False removes a target's models once its results are written.
        workers, command: as for `adapt`.

    Raises:
        SpeechAnalogyError: the weights, an engine or the run's folder are not right.
    """
    resolve_weights(job.recipe.base)
    count = workers or default_workers()
    table = job.table
    if table.rows:
        write_table(table, job.run)
    for number, target in enumerate(job.targets, start=1):
        if not target.is_finished():
            if progress:
                print(f"target {number} of {len(job.targets)}: {target.label}", file=sys.stderr, flush=True)
            for one in {one.folder: one for pool in target.spoken.values() for one in pool}.values():
                _speak(one, count, progress)
            _hand_over(target)
            execute(target.plan, workers=workers, progress=progress)
            shutil.rmtree(target.plan.run / FEATURES_FOLDER, ignore_errors=True)
            results = collect(target.recipe, target.plan, job.path, command, _versions(), _machine())
            results.write(target.plan.run / RESULTS_FILE)
            (target.plan.run / KEY_FILE).write_text(target.key(), encoding="utf-8")
        name = str(target.plan.run.relative_to(job.run))
        table = table.with_run(target.domain, target.plan.run, target.seed, name)
        table = table.joined(table)  # in order
        write_table(table, job.run)
        if not keep_models and job.source == "others":
            _remove_models(target)
    if not keep_models:
        for target in job.targets:
            _remove_models(target)
    return table


def describe_domains(job: Domains, workers: int | None = None) -> str:
    """What is left to do, target by target, with hours and disk."""
    count = workers or default_workers()
    factor = max(1.0, job.base_bytes / TINY_BYTES)
    lines, total_s, models = [], 0.0, 0
    left_speech = [one for one in job.speech if not one.plan.is_done(one.stage)]
    for target in job.targets:
        stages = [] if target.is_finished() else [s for s in target.plan if not target.plan.is_done(s.name)]
        cost_s = factor * sum(stage.cost_s for stage in stages)
        total_s += cost_s
        models += sum(stage.kind in TRAINED_KINDS for stage in stages)
        state = f"{len(stages)} of {len(target.plan)} stages left, ~{clock(cost_s / count)}" if stages else "done"
        lines.append(f"{target.label:16} {state}")
    speaking_s = sum(synthesis_cost(one.size, one.options.engines) for one in left_speech)
    seconds = sum(one.size.duration_s for one in left_speech)
    disk = models * job.base_bytes + FLAC_BYTES_A_SECOND * seconds
    lines += [
        "",
        f"{len(job.targets)} targets, {models} models and {seconds / 3600:.1f} h of synthetic speech to make",
        f"about {clock((total_s + speaking_s) / count)} on {count} cores, {clock(speaking_s / count)} of it synthesis "
        f"(rates of whisper-tiny.en on a Zen 4 server, times {factor:.1f} for this base's size; a GPU is not reckoned)",
        f"about {disk / 1e9:.1f} GB of disk" + ("" if job.base_bytes else ", models not counted: the base is not here"),
    ]
    return "\n".join(lines)


class _Voices:
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


def _target(
    domain: str, recipe: Recipe, parts: Split, built: Plan, voices: _Voices, source: Source, first: Plan | None
) -> Target:
    """A plan whose split, synthesis and (with `first`) shared fine-tunings are handed over."""
    of_source = sorted({domain_of(cut) for cut in parts.source_train})
    spoken = {
        "synthesise-source": [voices.of(name, built.stages["synthesise-source"]) for name in of_source],
        "synthesise-target": [voices.of(domain, built.stages["synthesise-target"])],
    }
    stages, shared = [], {}
    for stage in built:
        params = stage.params
        if stage.name == "split":
            params = {**params, "source": source}
        elif stage.name in spoken:
            params = {"parts": [one.folder.name for one in spoken[stage.name]]}
        elif first is not None and (SHARED.fullmatch(stage.name) or _heard_alike(stage, first)):
            shared[stage.name] = first.folder(stage.name)
            params = {**params, "same_as": first.folder(stage.name).name}
        else:
            stages.append(stage)
            continue
        stages.append(replace(stage, kind=GIVEN, params=params, cost_s=START_S / 10))
    return Target(domain, recipe, parts, Plan(built.run, stages, {**VERSIONS, GIVEN: 1}), spoken, shared)


def _heard_alike(stage: Stage, first: Plan) -> bool:
    """Whether the first target heard it the same way: `evaluation.backend: auto` goes by the size of the test."""
    return HEARD.fullmatch(stage.name) is not None and stage.params == first.stages[stage.name].params


def _speak(speech: Speech, workers: int, progress: bool) -> None:
    """Goes on where it was killed: synthesis keeps a ledger in the folder that is being built."""

    def fill(folder: Path) -> None:
        options = speech.options.model_copy(update={"workers": workers})
        synthesize(speech.texts, folder, options, progress=progress, clips_root=speech.folder)

    _give(speech.plan, speech.stage, fill)


def _hand_over(target: Target) -> None:
    """Fill the stages that are not a worker's."""

    def fill_split(folder: Path) -> None:
        for name in PARTS:
            if len(target.parts.part(name)):
                write_cuts(target.parts.part(name), folder / f"{name}.jsonl.gz", overwrite=True)
        lines = [json.dumps({"id": t.id, "text": t.text, "domain": t.domain}) for t in target.parts.target_texts]
        (folder / TEXTS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")

    _give(target.plan, "split", fill_split)
    heard = {(domain_of(cut), text_of(cut).casefold()) for cut in target.parts.source_train}
    for stage, pool in target.spoken.items():
        wanted = heard if stage == "synthesise-source" else None
        _give(target.plan, stage, lambda folder, pool=pool, wanted=wanted: _join(pool, wanted, folder))  # type: ignore[misc]
    for stage, finished in target.shared.items():
        _give(target.plan, stage, lambda folder, finished=finished: _link(finished, folder))  # type: ignore[misc]


def _join(pool: list[Speech], wanted: set[tuple[str, str]] | None, folder: Path) -> None:
    """The clips of several domains in one file; of A's only those whose texts B hears."""
    cuts = [
        cut
        for speech in pool
        for cut in read_cuts(speech.folder / CUTS_FILE)
        if wanted is None or (domain_of(cut), text_of(cut).casefold()) in wanted
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


def _remove_models(target: Target) -> None:
    """Every model of a finished target; its scores, hypotheses and speech stay."""
    for stage in target.plan:
        if stage.kind in TRAINED_KINDS or (stage.name in target.shared and not HEARD.fullmatch(stage.name)):
            shutil.rmtree(target.plan.folder(stage.name), ignore_errors=True)


def _bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
