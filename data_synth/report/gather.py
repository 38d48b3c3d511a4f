"""One pass over a ledger for the page: histograms, and a seeded choice of clips, in bounded memory."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from data_synth.plan.attempt import LedgerRow
from data_synth.report.histograms import Histogram
from data_synth.store.ledger import reason_gate

KEPT, REJECTED = "kept", "rejected"
RATE_GATE = "seconds_per_character"
DURATION_BIN_S, DURATION_LIMIT_S = 0.05, 40.0
RATE_BIN_S, RATE_LIMIT_S = 0.0025, 1.0


@dataclass
class ClipChoice:
    """Rows drawn by the sha256 of seed and key: `count` at most of every group (a voice, or a gate)."""

    count: int
    seed: int
    groups: dict[str, list[tuple[int, str, LedgerRow]]] = field(default_factory=dict)  # heaps, the last drawn on top

    def add(self, group: str, row: LedgerRow) -> None:
        """Offer one row."""
        draw = int(hashlib.sha256(f"{self.seed}\0{row.key}".encode()).hexdigest(), 16)
        heap = self.groups.setdefault(group, [])
        if any(key == row.key for _, key, _ in heap):
            return  # made again after its file had gone
        entry = (-draw, row.key, row)
        if len(heap) < self.count:
            heapq.heappush(heap, entry)
        elif heap and entry > heap[0]:
            heapq.heapreplace(heap, entry)

    def rows(self) -> list[LedgerRow]:
        """`count` rows of all groups: first one of every group, then a second one, as drawn."""
        ranked = [
            (rank, -draw, row)
            for heap in self.groups.values()
            for rank, (draw, _, row) in enumerate(sorted(heap, key=lambda entry: -entry[0]))
        ]
        return [row for *_, row in sorted(ranked, key=lambda entry: entry[:2])[: self.count]]


@dataclass
class Gathering:
    """What the page shows beside the yields."""

    duration: Histogram
    rate: Histogram
    kept: ClipChoice
    rejected: ClipChoice


def gather(rows: Iterable[LedgerRow], clips: int, seed: int) -> Gathering:
    """Read rows once.

    Args:
        rows: of a ledger, in any order.
        clips: how many kept and how many rejected ones to choose.
        seed: of the choice.
    """
    found = Gathering(
        Histogram(DURATION_BIN_S, DURATION_LIMIT_S), Histogram(RATE_BIN_S, RATE_LIMIT_S),
        ClipChoice(clips, seed), ClipChoice(clips, seed),
    )  # fmt: skip
    for row in rows:
        if row.duration_s is not None:
            found.duration.add(KEPT, row.duration_s)
        rate = row.gates.get(RATE_GATE)
        if rate is not None and rate.value is not None:
            found.rate.add(row.status, rate.value)
            found.rate.thresholds = tuple(end for end in (rate.minimum, rate.maximum) if end is not None)
        if row.kept:
            found.kept.add(f"{row.engine}:{row.voice}", row)
        elif row.engine:
            found.rejected.add(reason_gate(row), row)
    return found
