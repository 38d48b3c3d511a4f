"""The table of a leave-one-domain-out run: a row a domain, a column a system, averages, relative improvement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev

from speech_analogy.evaluation.evaluate import compare_hypotheses
from speech_analogy.evaluation.results import Comparison, Hypothesis, Results, System, read_hypotheses

OURS, AGAINST = "analogy", "target_synthetic"  # the paper's improvement is over fine-tuning on synthetic speech
TABLE_FILE, SUMMARY_FILE = "domains.md", "domains.json"
SMALLEST_P = 0.001


@dataclass(frozen=True)
class DomainRow:
    """One domain as the target, with one seed of the fine-tunings."""

    domain: str
    run: str
    utterances: int
    scale: float | None  # the λ that was chosen
    wer: dict[str, float]  # system -> WER in percent
    seed: int | None = None  # None: the recipe's


@dataclass(frozen=True)
class DomainTable:
    """What has been measured so far, of the domains that are to be."""

    title: str
    note: str
    domains: list[str]
    rows: list[DomainRow]
    seeds: list[int | None] = field(default_factory=lambda: [None])

    def with_run(self, domain: str, run: Path, seed: int | None = None) -> DomainTable:
        """The table with one more finished run."""
        results = Results.read(run / "results.json")
        systems = _one_each(results)
        row = DomainRow(
            domain,
            str(run),
            results.test.utterances,
            systems[OURS].scale if OURS in systems else None,
            {name: system.wer for name, system in systems.items()},
            seed,
        )
        return replace(self, rows=[*self.rows, row])

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
        """Mean over seeds, percent."""
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
        """Standard deviation over seeds of the average; of seeds that have all domains alone."""
        by_seed = [[row.wer[system] for row in self.rows if row.seed == seed] for seed in self.seeds]
        whole = [mean(found) for found in by_seed if len(found) == len(self.domains)]
        return stdev(whole) if len(whole) > 1 else None

    def average_relative(self, system: str) -> float:
        """Mean of the domains' relative improvements of the analogy over a system."""
        return mean(self.relative(domain, system) for domain in self.measured)

    def compare(self, system: str) -> Comparison:
        """The analogy against a system on all domains' test utterances together: paired, clustered."""
        ours: list[Hypothesis] = []
        others: list[Hypothesis] = []
        for row in self.rows:
            systems = _one_each(Results.read(Path(row.run) / "results.json"))
            own, other = (read_hypotheses(Path(row.run) / systems[name].hypotheses_file) for name in (OURS, system))
            ours += own * (len(other) // len(own))  # a control of several seeds was heard several times
            others += other
        return compare_hypotheses(ours, others, (OURS, system))


def _one_each(results: Results) -> dict[str, System]:
    """Every system once: of the analogy's λs the chosen one."""
    found: dict[str, System] = {}
    for system in results.systems:
        if system.name not in found or system.chosen:
            found[system.name] = system
    return found


def table_markdown(table: DomainTable) -> str:
    """The table, its averages, and the analogy against every other system."""
    lines = [f"# {table.title}", "", *([" ".join(table.note.split()), ""] if table.note else [])]
    planned = len(table.domains) * len(table.seeds)
    if len(table.rows) < planned:
        what = "domains" if len(table.seeds) == 1 else f"domains and seeds ({len(table.seeds)})"
        lines += [f"Under way: {len(table.rows)} of {planned} {what}.", ""]
    elif len(table.seeds) > 1:
        lines += [f"Mean ± standard deviation over {len(table.seeds)} seeds of the fine-tunings.", ""]
    ours = OURS in table.systems
    over = ours and AGAINST in table.systems
    heads = ["target", "utterances", *table.systems, *(["λ"] if ours else [])]
    heads += [f"{OURS} against {AGAINST}"] if over else []
    lines += [_line(heads), "|---|" + "--:|" * (len(heads) - 1)]
    for domain in table.measured:
        found = {name: (table.wer(domain, name), table.spread(domain, name)) for name in table.systems}
        scales = dict.fromkeys(f"{row.scale:g}" for row in table.of(domain) if row.scale is not None)
        cells = [*_cells(found), *([", ".join(scales)] * ours), *([_percent(table.relative(domain, AGAINST))] * over)]
        lines.append(_line([domain, str(table.of(domain)[0].utterances), *cells]))
    averages = {name: (table.average(name), table.average_spread(name)) for name in table.systems}
    cells = [*_cells(averages), *([""] * ours), *([_percent(table.average_relative(AGAINST))] * over)]
    utterances = sum(table.of(domain)[0].utterances for domain in table.measured)
    lines += [_line(["average", str(utterances), *cells]), ""]
    if ours:
        lines += _against(table)
    return "\n".join(lines) + "\n"


def _against(table: DomainTable) -> list[str]:
    """The analogy against each system: mean relative improvement, domains won, pooled difference."""
    lines = [
        "WER in percent; `average` is the mean over domains. Below, the analogy against every other system: relative "
        "is the mean over domains of (WER − WER of the analogy) / WER; the difference is pooled over all test "
        "utterances (of all seeds), with a paired, clustered 95 % interval.",
        "",
        _line(["against", "relative", "domains better", "difference, points", "95 % interval", "p"]),
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name in table.systems:
        if name == OURS:
            continue
        found = table.compare(name)
        won = sum(table.wer(domain, OURS) < table.wer(domain, name) for domain in table.measured)
        p = f"< {SMALLEST_P:g}" if found.p_value < SMALLEST_P else f"{found.p_value:.3f}"
        interval = f"{found.ci95[0]:+.1f} to {found.ci95[1]:+.1f}"
        won_of = f"{won} of {len(table.measured)}"
        lines.append(
            _line([name, _percent(table.average_relative(name)), won_of, f"{found.difference:+.1f}", interval, p])
        )
    return lines


def write_table(table: DomainTable, run: Path) -> None:
    """Write `domains.json` and `domains.md`, each atomically."""
    run.mkdir(parents=True, exist_ok=True)
    for file, text in (
        (SUMMARY_FILE, json.dumps({"schema": 1, **asdict(table)}, indent=2, ensure_ascii=False) + "\n"),
        (TABLE_FILE, table_markdown(table)),
    ):
        temporary = run / f"{file}.partial"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(run / file)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(found: Mapping[str, tuple[float, float | None]]) -> list[str]:
    """`31.4` or, with a spread, `31.4 ± 0.8`; the lowest in bold."""
    best = min(value for value, _ in found.values())
    return [
        _bold(f"{value:.1f}", value == best) + ("" if spread is None else f" ± {spread:.1f}")
        for value, spread in found.values()
    ]


def _bold(text: str, on: bool) -> str:
    return f"**{text}**" if on else text


def _percent(share: float) -> str:
    """`+12.3 %`: fewer errors; a minus sign: more."""
    return f"{100 * share:+.1f} %"
