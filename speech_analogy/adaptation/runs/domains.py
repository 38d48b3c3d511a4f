"""One recipe, one domain after the other as the target: speech is made once a domain, and one table comes out.

The protocol of arXiv 2406.02925. Every target has a run of its own, with a plan of its own; what they share is made
once and taken over as finished stages: the synthetic speech of a domain (C of the one, part of A of the others)
and, where the source is the same for all, A and B.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.execution.protocol import LOCAL, Executor, RunError, make_executor
from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.cut_sets import corpus_params
from speech_analogy.adaptation.plan.estimate import START_S, clock, cost_of, rates, wall_clock_of, weights_bytes
from speech_analogy.adaptation.plan.machine_pace import machine_pace
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import Recipe, load_recipe
from speech_analogy.adaptation.runs.adapt import base_key_of
from speech_analogy.adaptation.runs.checks import check_run
from speech_analogy.adaptation.runs.damaged import set_aside_damaged
from speech_analogy.adaptation.runs.measured import left_to_do, measure, remove_models
from speech_analogy.adaptation.runs.overlap import require_new_test
from speech_analogy.adaptation.runs.target import Source, Target, TargetPlanner, Voices, size_of_speech
from speech_analogy.adaptation.split import leave_out, read_cuts_of, split
from speech_analogy.corpora.splits import digest, file_digests
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.domain_table import DomainTable, join
from speech_analogy.foundation.locks import held
from speech_analogy.foundation.progress import say
from speech_analogy.foundation.user_files.file_names import file_stem
from speech_analogy.report.domains import table_markdown, write_table

__all__ = ["DomainTable", "Domains", "describe_domains", "do_domains", "plan_domains", "table_markdown"]

SPEECH_FOLDER, TARGETS_FOLDER = "speech", "targets"
FLAC_BYTES_A_SECOND = 16_000  # 16 kHz, 16 bit, about half of it after compression


@dataclass(frozen=True)
class Domains:
    """All that is to be done."""

    recipe: Recipe
    path: Path
    run: Path
    corpus: Plan
    targets: list[Target]
    base_bytes: int  # 0 where the weights are not there
    table: DomainTable
    """Empty, or what earlier runs have measured, which is not in `targets` then."""

    def check(self) -> None:
        """Raise where what is left cannot be done; see `check_run`."""
        left = [target for target in self.targets if not target.is_finished()]
        check_run(self.recipe, [plan for target in left for plan in (target.speech, target.plan)])


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
        DataError: its corpus is not there, a part of it would be empty, recordings or speakers of a test would be in
            training, an earlier table cannot be read.
    """
    resolved, folder = load_recipe(recipe, overrides, data)
    run = Path(run).resolve()
    known = resolved.experiment.split.target_domains
    for domain in domains:
        if domain not in known:
            raise ConfigError("is not a target of the recipe", field="targets", value=domain, do=", ".join(known))
    there = [DomainTable.read(Path(path)) for path in earlier]
    cuts = read_cuts_of(resolved.experiment.corpus, resolved.language, folder, decode=False, progress=progress)
    files = file_digests(cuts)
    corpus_digest, base_key = digest(cuts, files), base_key_of(resolved.base)
    empty = DomainTable(
        resolved.title,
        resolved.note,
        list(domains or known),
        [],
        list(seeds or (None,)),
        _key_of(resolved, source, corpus_digest, base_key),
    )
    table = join([empty, *there]) or empty
    corpus = Plan(run, [Stage(names.CORPUS, corpus_params(resolved, folder, corpus_digest), START_S)])
    voices = Voices(resolved, cuts, Path(speech).resolve() if speech else run / SPEECH_FOLDER)
    wanted = [(s, d) for s, d in itertools.product(seeds or (None,), domains or known) if not table.has(d, s)]
    places = {(seed, domain): _place(run, domain, seed) for seed, domain in wanted}
    targets: list[Target] = []
    for (seed, domain), place in places.items():
        own = _recipe_of(resolved, domain, seed)
        left_out = sorted(set(known) - {domain}) if source == "rest" else []
        parts = split(leave_out(cuts, left_out), own)
        require_new_test(own, parts, files)
        planner = TargetPlanner(
            own,
            folder,
            parts,
            corpus_digest,
            base_key,
            corpus=corpus.folder(names.CORPUS),
            left_out=left_out,
            source=source,
            voices=voices,
        )
        siblings = [other for other in places.values() if other != place]
        targets.append(Target(domain, own, planner.plan(place, siblings), planner.speech_plan(), seed))
    return Domains(resolved, Path(recipe), run, corpus, targets, weights_bytes(resolved.base), table)


def _place(run: Path, domain: str, seed: int | None) -> Path:
    place = run / TARGETS_FOLDER / file_stem(domain)
    return place if seed is None else place / f"seed-{seed}"


def _recipe_of(recipe: Recipe, domain: str, seed: int | None) -> Recipe:
    """The recipe with one domain as the target, and one seed of the fine-tunings."""
    return recipe.model_copy(
        update={
            "title": f"{recipe.title}: {domain}" + ("" if seed is None else f", seed {seed}"),
            "split": recipe.experiment.split.model_copy(update={"target_domains": (domain,)}),
            "training_seed": recipe.training_seed if seed is None else seed,
        }
    )


def _key_of(recipe: Recipe, source: Source, corpus: str, base: str) -> str:
    """What tables must share to be joined: the recipe but for its words, its place and its seeds; its data and base."""
    said = recipe.model_dump(mode="json", exclude={"title", "note", "training_seed", "publish", "allow_overlap"})
    said["corpus"].pop("path")
    return hashlib.sha256(json.dumps([said, source, corpus, base], sort_keys=True).encode()).hexdigest()


def do_domains(
    job: Domains,
    *,
    keep_models: bool = True,
    executor: str = LOCAL,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> DomainTable:
    """Do what `plan_domains` planned; write `targets/DOMAIN/`, `domains.json` and `domains.md` into the run's folder.

    A second call does nothing, a killed one goes on; the table is rewritten after every target, each of which is
    a run like any other. What earlier tables have stands in it.

    Args:
        keep_models: False removes a target's models once its results are written.
        executor, workers, command: as for `adapt`.

    Raises:
        SpeechAnalogyError: the weights, an engine or the run's folder are not right.
    """
    doer = make_executor(executor, workers)
    job.check()
    with held(job.run, RunError):
        for plan in (job.corpus, *(plan for target in job.targets for plan in (target.speech, target.plan))):
            set_aside_damaged(plan, show=progress)
        job.check()
        return _do(job, doer, keep_models, progress, command)


def _do(job: Domains, doer: Executor, keep_models: bool, progress: bool, command: str) -> DomainTable:
    table = job.table
    if table.rows:
        write_table(table, job.run)
    for number, target in enumerate(job.targets, start=1):
        if not target.is_finished():
            if progress:
                say(f"target {number} of {len(job.targets)}: {target.label}")
            execute(job.corpus, doer, show=progress, command=command, held_by_caller=True)
            execute(target.speech, doer, show=progress, command=command)
            measure(target.recipe, target.plan, job.path, doer, progress=progress, command=command)
        name = str(target.plan.run.relative_to(job.run))
        table = table.with_run(target.domain, target.plan.run, target.seed, name)
        table = table.joined(table)  # in order
        write_table(table, job.run)
        if not keep_models:
            later = [other.plan for other in job.targets[number:]]
            for earlier in job.targets[:number]:
                remove_models(earlier.plan, later)
    return table


def describe_domains(job: Domains, workers: int | None = None, executor: str = LOCAL) -> str:
    """What is left to do, target by target, with hours and disk."""
    doer, pace = make_executor(executor, workers), machine_pace(show=True)
    lines, total_s, models = [], 0.0, 0
    for target, left in zip(job.targets, left_to_do(target.plan for target in job.targets), strict=True):
        own_s = wall_clock_of(left, doer.slots, job.base_bytes, pace=pace)
        total_s += own_s
        models += sum(stage.makes_a_model for stage in left)
        state = f"{len(left)} of {len(target.plan)} stages left, ~{clock(own_s)}" if left else "done"
        lines.append(f"{target.label:16} {state}")
    speech = {
        target.speech.folder(stage.name): stage
        for target in job.targets
        if not target.is_finished()
        for stage in target.speech.undone()
    }
    speaking_s = cost_of(speech.values(), pace=pace) / doer.slots
    seconds = sum(size_of_speech(stage).duration_s for stage in speech.values())
    disk = models * job.base_bytes + FLAC_BYTES_A_SECOND * seconds
    lines += [
        "",
        f"{len(job.targets)} targets, {models} models and {seconds / 3600:.1f} h of synthetic speech to make",
        f"about {clock(total_s + speaking_s)} on {doer.place}, {clock(speaking_s)} of it synthesis "
        f"({rates(job.base_bytes, pace)})",
        f"about {disk / 1e9:.1f} GB of disk" + ("" if job.base_bytes else ", models not counted: the base is not here"),
    ]
    return "\n".join(lines)
