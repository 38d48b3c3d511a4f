"""One recipe, one domain after the other as the target: speech is made once a domain, and one table comes out.

The protocol of arXiv 2406.02925. Every target has a run of its own, with a plan of its own; what they share is made
once and handed to them as finished stages: the synthetic speech of a domain (C of the one, part of A of the others)
and, where the source is the same for all, A and B.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lhotse import CutSet

from speech_analogy.adaptation.execution.local import default_workers, execute, speaking_workers, worked_by
from speech_analogy.adaptation.plan.build import build_plan
from speech_analogy.adaptation.plan.estimate import clock, rates, synthesis_cost, wall_clock_of, weights_bytes
from speech_analogy.adaptation.recipe import Recipe, load_recipe
from speech_analogy.adaptation.runs.adapt import KEY_FILE, RESULTS_FILE
from speech_analogy.adaptation.runs.collect import collect
from speech_analogy.adaptation.runs.target import (
    TRAINED_KINDS,
    Source,
    Speech,
    Target,
    Voices,
    hand_over,
    remove_models,
    speak,
    target_of,
)
from speech_analogy.adaptation.split import read_cuts_of, split
from speech_analogy.adaptation.stages.work import FEATURES_FOLDER
from speech_analogy.corpora.cuts import domain_of
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import ConfigError, WeightsUnavailableError
from speech_analogy.evaluation.domain_table import DomainTable, join
from speech_analogy.evaluation.environment import machine_record, package_versions
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.weights import resolve_weights
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
    cuts = read_cuts_of(resolved.corpus, resolved.language, folder, decode=False, progress=progress)
    corpus = digest(cuts)
    try:
        weights = resolve_weights(resolved.base)
        base_key, base_bytes = fingerprint(open_checkpoint(weights)), weights_bytes(resolved.base)
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
    voices = Voices(resolved, cuts, Path(speech).resolve() if speech else run / SPEECH_FOLDER)
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
        targets.append(replace(target_of(domain, own, parts, built, voices, source, first), seed=seed))
    return Domains(resolved, Path(recipe), run, targets, list(voices.made.values()), source, base_bytes, table)


def _key_of(recipe: Recipe, source: Source, corpus: str, base: str) -> str:
    """What tables must share to be joined: the recipe but for its words, its place and its seeds; its data and base."""
    said = recipe.model_dump(mode="json", exclude={"title", "note", "training_seed", "publish"})
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
    table = job.table
    if table.rows:
        write_table(table, job.run)
    for number, target in enumerate(job.targets, start=1):
        if not target.is_finished():
            if progress:
                print(f"target {number} of {len(job.targets)}: {target.label}", file=sys.stderr, flush=True)
            for one in {one.folder: one for pool in target.spoken.values() for one in pool}.values():
                speak(one, workers, progress)
            hand_over(target)
            execute(target.plan, workers=workers, progress=progress)
            shutil.rmtree(target.plan.run / FEATURES_FOLDER, ignore_errors=True)
            results = collect(target.recipe, target.plan, job.path, command, package_versions(), machine_record())
            results.write(target.plan.run / RESULTS_FILE)
            (target.plan.run / KEY_FILE).write_text(target.plan.digest(), encoding="utf-8")
        name = str(target.plan.run.relative_to(job.run))
        table = table.with_run(target.domain, target.plan.run, target.seed, name)
        table = table.joined(table)  # in order
        write_table(table, job.run)
        if not keep_models and job.source == "others":
            remove_models(target)
    if not keep_models:
        for target in job.targets:
            remove_models(target)
    return table


def describe_domains(job: Domains, workers: int | None = None) -> str:
    """What is left to do, target by target, with hours and disk."""
    count = workers or default_workers()
    lines, total_s, models = [], 0.0, 0
    left_speech = [one for one in job.speech if not one.plan.is_done(one.stage)]
    for target in job.targets:
        stages = [] if target.is_finished() else [s for s in target.plan if not target.plan.is_done(s.name)]
        own_s = wall_clock_of(stages, count, job.base_bytes)
        total_s += own_s
        models += sum(stage.kind in TRAINED_KINDS for stage in stages)
        state = f"{len(stages)} of {len(target.plan)} stages left, ~{clock(own_s)}" if stages else "done"
        lines.append(f"{target.label:16} {state}")
    speaking_s = 0.0
    for one in left_speech:
        speaking_s += synthesis_cost(one.size, one.options.engines) / speaking_workers(one.options.engines, workers)
    seconds = sum(one.size.duration_s for one in left_speech)
    disk = models * job.base_bytes + FLAC_BYTES_A_SECOND * seconds
    lines += [
        "",
        f"{len(job.targets)} targets, {models} models and {seconds / 3600:.1f} h of synthetic speech to make",
        f"about {clock(total_s + speaking_s)} on {worked_by(count)}, {clock(speaking_s)} of it synthesis "
        f"({rates(job.base_bytes)})",
        f"about {disk / 1e9:.1f} GB of disk" + ("" if job.base_bytes else ", models not counted: the base is not here"),
    ]
    return "\n".join(lines)
