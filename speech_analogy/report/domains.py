"""A leave-one-domain-out table in Markdown: the domains, the paired comparisons, what was kept, what λ cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from speech_analogy.evaluation.domain_table import AGAINST, OURS, SUMMARY_FILE, DomainTable
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.page import wording
from speech_analogy.report import certainty

TABLE_FILE = "domains.md"
SMALLEST_P = 0.001


def table_markdown(table: DomainTable) -> str:
    """The table, its averages, the analogy against every other system, and what the strategies' λs cost."""
    lines = [f"# {table.title}", "", *([" ".join(table.note.split()), ""] if table.note else [])]
    planned = len(table.domains) * len(table.seeds)
    if len(table.rows) < planned:
        what = "domains" if len(table.seeds) == 1 else f"domains and seeds ({len(table.seeds)})"
        lines += [f"Under way: {len(table.rows)} of {planned} {what}.", ""]
    elif len(table.seeds) > 1:
        lines += [f"Mean ± standard deviation over {len(table.seeds)} seeds of the fine-tunings.", ""]
    if not table.rows:
        return "\n".join(lines)
    lines += [
        "WER in percent on the target's test recordings; the average counts each domain the same.",
        "",
        *_systems(table),
        "",
        *_met(table),
    ]
    if OURS in table.systems:
        lines += [*_chosen(table), "", *_against(table)]
    return "\n".join([*lines, *_regrets(table)]).rstrip() + "\n"


def _met(table: DomainTable) -> list[str]:
    """Which tests were in training."""
    found = [row for row in table.rows if row.overlap.get("utterances")]
    if not found:
        return []
    domains = wording.listing(list(dict.fromkeys(row.domain for row in found)))
    met, all_ = sum(row.overlap["utterances"] for row in found), sum(row.utterances for row in table.rows)
    what = "Recordings or speakers" if any(row.overlap.get("recordings") for row in found) else "Speakers"
    said = (
        f"{what} of {met:,} of {all_:,} test utterances were in training ({domains}): on new ones expect more errors."
    )
    return [f"{certainty.IN_TRAINING} {said}", ""]


def _systems(table: DomainTable) -> list[str]:
    """A row per system, a column per domain: there are more systems than fit across a page."""
    averages = {name: table.average(name) for name in table.systems}
    kept = {name: table.source_wer(name) for name in table.systems}
    heads = ["system", *table.measured, "average", *(["held-out source"] if any(kept.values()) else [])]
    columns = [
        *(_cells({s: (table.wer(d, s), table.spread(d, s)) for s in table.systems}) for d in table.measured),
        _cells({name: (value, table.average_spread(name)) for name, value in averages.items()}),
    ]
    if any(kept.values()):
        columns.append(["" if value is None else f"{value:.1f}" for value in kept.values()])
    rows = zip(table.systems, *columns, strict=True)
    return [line(heads), "|---|" + "--:|" * (len(heads) - 1), *(line(list(row)) for row in rows)]


def _chosen(table: DomainTable) -> list[str]:
    """Each domain's λ, its number of utterances, and how far the analogy improves on the synthetic model."""
    over = AGAINST in table.systems
    heads = ["target", "test utterances", "λ", *([f"{OURS} against {AGAINST}"] if over else [])]
    lines = [line(heads), "|---|" + "--:|" * (len(heads) - 1)]
    for domain in table.measured:
        rows = table.of(domain)
        scales = ", ".join(f"{row.scale:g}" for row in rows if row.scale is not None)
        relative = [_percent(table.relative(domain, AGAINST))] if over else []
        lines.append(line([domain, str(rows[0].utterances), scales, *relative]))
    utterances = str(sum(table.of(domain)[0].utterances for domain in table.measured))
    relative = [_percent(table.average_relative(AGAINST))] if over else []
    return [*lines, line(["average" if over else "all", utterances, "", *relative])]


def _against(table: DomainTable) -> list[str]:
    """The analogy against each system: mean relative improvement, domains won, pooled difference."""
    lines = [
        "The analogy against every other system: relative is the mean over domains of (WER − WER of the analogy) / "
        "WER; the difference is pooled over all test utterances (of all seeds), with a paired, clustered 95 % "
        "interval; p (Holm) is corrected for all of these comparisons.",
        "",
        line(["against", "relative", "domains better", "difference, points", "95 % interval", "p", "p (Holm)"]),
        "|---|" + "--:|" * 6,
    ]
    doubt = certainty.caution(table.clusters)
    for found in table.comparisons():
        name = found.against
        won = sum(table.wer(domain, OURS) < table.wer(domain, name) for domain in table.measured)
        cells = [
            name,
            _percent(table.average_relative(name)),
            f"{won} of {len(table.measured)}",
            f"{found.difference:+.1f}",
            f"{found.ci95[0]:+.1f} to {found.ci95[1]:+.1f}" + (f" {certainty.TOO_NARROW}" if doubt else ""),
            _p(found.p_value),
            _p(found.p_value if found.p_holm is None else found.p_holm),
        ]
        lines.append(line(cells))
    return [*lines, "", *([doubt, ""] if doubt else [])]


def _regrets(table: DomainTable) -> list[str]:
    """What each strategy's λ cost, over all rows."""
    found = table.regrets()
    if not found:
        return []
    lines = [
        "How λ was chosen: regret is the WER at the chosen λ less the lowest of the same row's curve, in points, over "
        f"{len(table.rows)} rows.",
        "",
        line(["strategy", "mean regret", "largest", "λs chosen"]),
        "|---|--:|--:|--:|",
    ]
    for strategy, regrets in sorted(found.items(), key=lambda item: mean(item[1])):
        scales = sorted({row.strategies[strategy] for row in table.rows if strategy in row.strategies})
        chosen = f"{scales[0]:g}" if len(scales) == 1 else f"{scales[0]:g} to {scales[-1]:g}"
        lines.append(line([strategy, f"{mean(regrets):.2f}", f"{max(regrets):.2f}", chosen]))
    return [*lines, ""]


def write_table(table: DomainTable, run: Path) -> None:
    """Write `domains.json` and `domains.md`, each atomically."""
    table.write(run / SUMMARY_FILE)
    write_whole(run / TABLE_FILE, table_markdown(table))


def line(cells: list[str]) -> str:
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


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return f"< {SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.3f}"
