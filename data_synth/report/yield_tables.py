"""Yields as Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from data_synth.report.yields import Band, Yields
from speech_analogy.plain_text import shown


def band_name(band: Band) -> str:
    """`1`, `2–3`, `256 or more`."""
    if band.high is None:
        return f"{band.low} or more"
    return f"{band.low}" if band.low == band.high else f"{band.low}–{band.high}"


def render(yields: Yields) -> str:
    """The tables, for a RESULTS.md or an issue."""
    parts = [
        f"{yields.kept:,} of {yields.asked:,} clips kept ({_percent(yields.kept, yields.asked)}), "
        f"{yields.seconds / 3600:.2f} h, {yields.rows - yields.unspeakable:,} attempts; "
        f"{yields.unspeakable:,} texts that cannot be spoken."
    ]
    for what, rows in (("domain", yields.by_domain), ("engine", yields.by_engine), ("voice", yields.by_voice)):
        cells = [
            [_cell(row.name), f"{row.asked:,}", f"{row.kept:,}", _percent(row.kept, row.asked), f"{row.attempts:,}"]
            for row in rows
        ]
        parts.append(_table([what, "asked", "kept", "yield", "attempts"], cells))
    gates = [
        [_cell(row.name), *(f"{count:,}" for count in (row.judged, row.failed, row.reason))] for row in yields.by_gate
    ]
    parts.append(_table(["gate", "attempts judged", "failed", "rejected for it"], gates))
    tries = [
        [str(row.number), f"{row.made:,}", f"{row.kept:,}", _percent(row.kept, row.made)] for row in yields.attempts
    ]
    parts.append(_table(["attempt", "made", "kept", "yield"], tries))
    bands = [
        [band_name(row), f"{row.words:,}", f"{row.unheard:,}", _percent(row.kept, row.asked)]
        for row in yields.by_frequency
    ]
    parts.append(_table(["clips a word was asked for in", "words", "in no kept clip", "yield"], bands))
    lost = [
        [_cell(row.word), f"{row.asked:,}", f"{row.kept:,}", f"{row.chance:.1g}", _cell(row.gate)]
        for row in yields.lost_words
    ]
    parts.append(_table(["word lost most", "asked", "kept", "chance", "gate"], lost))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(row) for row in rows]
    if not lines:
        return ""
    return "\n".join(f"| {line} |" for line in (" | ".join(head), " | ".join(["---"] * len(head)), *lines))


def _cell(raw: str) -> str:
    return re.sub(r"([\\`*_\[\]|#<])", r"\\\1", shown(" ".join(raw.split())))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""
