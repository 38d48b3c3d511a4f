"""The table of a leave-one-domain-out run: domains by systems, averages, relative improvement.

A row holds every utterance's word edits, so that `domains.json` is all that comparing systems and joining runs needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from pydantic import TypeAdapter, ValidationError

from speech_analogy.errors import ConfigError, DataError
from speech_analogy.evaluation.grouping import grouped
from speech_analogy.evaluation.results import Comparison, Hypothesis, Results, System, read_hypotheses
from speech_analogy.evaluation.significance import compare, holm
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.user_files.json_text import read_object

OURS, AGAINST = "analogy", "target_synthetic"  # the paper's improvement is over fine-tuning on synthetic speech
SUMMARY_FILE = "domains.json"
SCHEMA = 2  # 1 had no utterances
NO_TABLE = "not a table of domains"


@dataclass(frozen=True)
class DomainRow:
    """One domain as the target, with one seed of the fine-tunings.

    Args:
        run: the folder of its run, from that of the whole.
        scale: the λ that was chosen.
        wer: system -> WER in percent.
        seed: None: the recipe's.
        curve: λ -> WER in percent of the analogy.
        strategies: strategy -> the λ it chose.
        source_wer: system -> WER in percent on held-out source speech, where that was asked for.
        ids, clusters, words: of every test utterance: its name, its speaker or prompt, the words of its text.
        overlap: how much of the test was in training: recordings, speakers, utterances.
        edits: system -> wrong words of every test utterance; of several draws of a system one after another.
    """

    domain: str
    run: str
    utterances: int
    scale: float | None
    wer: dict[str, float]
    seed: int | None = None
    curve: dict[str, float] = field(default_factory=dict)
    strategies: dict[str, float] = field(default_factory=dict)
    source_wer: dict[str, float] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    edits: dict[str, list[int]] = field(default_factory=dict)
    overlap: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DomainTable:
    """What has been measured so far, and which domains are planned."""

    title: str
    note: str
    domains: list[str]
    rows: list[DomainRow]
    seeds: list[int | None] = field(default_factory=lambda: [None])
    recipe: str = ""
    """What was done, as a hash: tables of one recipe can be joined."""

    def with_run(self, domain: str, run: Path, seed: int | None = None, name: str = "") -> DomainTable:
        """The table with one more finished run; `name` is what the row calls its folder."""
        results = Results.read(run / "results.json")
        systems = one_each(results)
        hypotheses = {
            system: grouped(read_hypotheses(run / found.hypotheses_file), results.test.cluster).rows
            for system, found in systems.items()
        }
        edits = {s: [h.substitutions + h.deletions + h.insertions for h in rows] for s, rows in hypotheses.items()}
        draws = {system: _draws(rows) for system, rows in hypotheses.items()}
        first = next(rows for system, rows in hypotheses.items() if draws[system] == 1)
        row = DomainRow(
            domain,
            name or str(run),
            results.test.utterances,
            systems[OURS].scale if OURS in systems else None,
            {system: found.wer for system, found in systems.items()},
            seed,
            {f"{one.scale:g}": one.wer for one in results.systems if one.name == OURS and one.scale is not None},
            {one.strategy: one.scale for one in (results.selection.strategies if results.selection else [])},
            {system: found.source_wer for system, found in systems.items() if found.source_wer is not None},
            [one.id for one in first],
            [one.cluster for one in first],
            [one.words for one in first],
            edits,
            {} if results.test.overlap is None else results.test.overlap.model_dump(),
        )
        return replace(self, rows=[*self.rows, row])

    def joined(self, other: DomainTable) -> DomainTable:
        """This table, with those rows of another that it lacks.

        Raises:
            ConfigError: the other table is of another recipe, or uses different test utterances.
        """
        if other.recipe != self.recipe:
            raise ConfigError(
                "only tables made with one recipe can be joined",
                field="join",
                value=other.title,
                do="leave it out, or use the recipe, --set and --shared-source that it was made with",
            )
        there = {(row.domain, row.seed): row for row in self.rows}
        tests = {row.domain: row.ids for row in self.rows}
        for row in other.rows:
            if row.ids != tests.setdefault(row.domain, row.ids):
                raise ConfigError("the tables use different test utterances", field="join", value=row.domain)
            there.setdefault((row.domain, row.seed), row)
        rows = there.values()
        domains = [*dict.fromkeys((*self.domains, *other.domains, *(row.domain for row in rows)))]
        seeds = [*dict.fromkeys((*self.seeds, *other.seeds, *(row.seed for row in rows)))]
        seeds = sorted(seeds, key=lambda seed: -1 if seed is None else seed)
        order = sorted(there.values(), key=lambda row: (seeds.index(row.seed), domains.index(row.domain)))
        return replace(self, domains=domains, seeds=seeds, rows=order)

    def has(self, domain: str, seed: int | None) -> bool:
        return any((row.domain, row.seed) == (domain, seed) for row in self.rows)

    @property
    def systems(self) -> list[str]:
        return list(self.rows[0].wer) if self.rows else []

    @property
    def measured(self) -> list[str]:
        """The domains that have a row, each once."""
        return list(dict.fromkeys(row.domain for row in self.rows))

    def of(self, domain: str) -> list[DomainRow]:
        """A domain's rows, one a seed."""
        return [row for row in self.rows if row.domain == domain]

    def wer(self, domain: str, system: str) -> float:
        """Mean over seeds, in percent."""
        return mean(row.wer[system] for row in self.of(domain))

    def spread(self, domain: str, system: str) -> float | None:
        """Standard deviation over seeds; None of fewer than two."""
        found = [row.wer[system] for row in self.of(domain)]
        return stdev(found) if len(found) > 1 else None

    def relative(self, domain: str, system: str) -> float:
        """(WER(system) − WER(analogy)) / WER(system): 0.2 is 20 % fewer errors; 0 where the system makes none."""
        other = self.wer(domain, system)
        return (other - self.wer(domain, OURS)) / other if other else 0.0

    def average(self, system: str) -> float:
        """Mean of the domains' WERs, each domain counting the same."""
        return mean(self.wer(domain, system) for domain in self.measured)

    def average_spread(self, system: str) -> float | None:
        """Standard deviation over seeds of the average; only seeds that have all domains count."""
        by_seed = [[row.wer[system] for row in self.rows if row.seed == seed] for seed in self.seeds]
        whole = [mean(found) for found in by_seed if len(found) == len(self.domains)]
        return stdev(whole) if len(whole) > 1 else None

    def average_relative(self, system: str) -> float:
        """Mean of the domains' relative improvements of the analogy over a system."""
        return mean(self.relative(domain, system) for domain in self.measured)

    def source_wer(self, system: str) -> float | None:
        """On held-out source speech: mean over domains of the means over seeds; None where it was not measured."""
        by_domain = [[row.source_wer[system] for row in self.of(d) if system in row.source_wer] for d in self.measured]
        return mean(map(mean, by_domain)) if by_domain and all(by_domain) else None

    def compare(self, system: str, against: str) -> Comparison:
        """Two systems on all domains' test utterances together, of all seeds: paired, clustered, not corrected."""
        ours: list[int] = []
        others: list[int] = []
        words: list[int] = []
        clusters: list[str] = []
        for row in self.rows:
            own, other = row.edits[system], row.edits[against]
            draws = max(len(own), len(other))  # a control of several seeds was decoded several times
            ours += own * (draws // len(own))
            others += other * (draws // len(other))
            words += row.words * (draws // len(row.words))
            clusters += row.clusters * (draws // len(row.clusters))
        found = compare(np.array(ours), np.array(others), np.array(words), clusters)
        return Comparison(
            system=system,
            against=against,
            difference=found.points,
            relative=found.relative,
            ci95=found.ci95,
            p_value=found.p_value,
        )

    def comparisons(self, system: str = OURS) -> list[Comparison]:
        """A system against every other, with p-values corrected by Holm for all of them."""
        found = {name: self.compare(system, name) for name in self.systems if name != system}
        corrected = holm({name: one.p_value for name, one in found.items()})
        return [one.model_copy(update={"p_holm": corrected[name]}) for name, one in found.items()]

    @property
    def clusters(self) -> int:
        """Over how many speakers or prompts the comparisons are taken."""
        return len({cluster for row in self.rows for cluster in row.clusters})

    def regrets(self) -> dict[str, list[float]]:
        """Strategy -> of every row the WER at its λ less the lowest of the row's curve, in points."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            for strategy, scale in row.strategies.items():
                if f"{scale:g}" in row.curve:
                    found.setdefault(strategy, []).append(row.curve[f"{scale:g}"] - min(row.curve.values()))
        return found

    def write(self, path: Path) -> None:
        """As JSON, one row per line, whole or not at all."""
        content = {"schema": SCHEMA, **asdict(self)}
        rows = content.pop("rows")
        lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
        head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix("\n}")
        write_whole(path, f'{head},\n "rows": [\n{lines}\n ]\n}}\n')

    @classmethod
    def read(cls, path: Path) -> DomainTable:
        """Read `domains.json`.

        Raises:
            DataError: it is not there, or not such a table.
        """
        do = "name the domains.json of an earlier run"
        content = read_object(path, missing="no table of domains here", do=do, broken=NO_TABLE)
        try:
            if content.pop("schema") != SCHEMA:
                raise ValueError(f"its schema is not {SCHEMA}")
            raw = cls(**{**content, "rows": [DomainRow(**row) for row in content["rows"]]})
            table = TypeAdapter(cls).validate_python(asdict(raw))
            numbers = (
                value
                for row in table.rows
                for values in (row.wer, row.curve, row.strategies, row.source_wer)
                for value in values.values()
            )
            if not all(map(math.isfinite, numbers)):
                raise ValueError("a number of it is not finite")
            return table
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DataError(f"{NO_TABLE}: {first['msg']}", file=path, field=where) from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{NO_TABLE}: {error}", file=path) from None


def join(tables: Iterable[DomainTable]) -> DomainTable | None:
    """Several tables of one recipe as one; where two have the same row, the first one's counts."""
    found: DomainTable | None = None
    for table in tables:
        found = table if found is None else found.joined(table)
    return found


def _draws(rows: Sequence[Hypothesis]) -> int:
    """How often each utterance was decoded."""
    return len(rows) // len({row.id for row in rows})


def one_each(results: Results) -> dict[str, System]:
    """Every system once: of the analogy's λs the chosen one."""
    found: dict[str, System] = {}
    for system in results.systems:
        if system.name not in found or system.chosen:
            found[system.name] = system
    return found
