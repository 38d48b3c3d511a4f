"""Ledgers of a few rows, made by hand."""

from __future__ import annotations

from pathlib import Path

from data_synth.plan.attempt import GateRow, LedgerRow
from speech_analogy.foundation.digests import digest

LEVEL = "level_db"


def row(
    text: str, voice: str = "v", *, domain: str = "d", engine: str = "e", attempt: int = 0, value: float | None = None
) -> LedgerRow:
    """One attempt; rejected by the level gate (at least −50) where `value` is below it."""
    kept = value is None or value >= -50
    return LedgerRow(
        key=digest([text, voice, domain, engine, attempt]), text_id=digest([text, domain])[:12], text=text,
        domain=domain, engine=engine, voice=voice, revision="1", parameters={}, seed=1, attempt=attempt,
        status="kept" if kept else "rejected", reason=None if kept else f"{LEVEL} {value} is below -50",
        gates={} if value is None else {LEVEL: GateRow(value=value, minimum=-50.0)},
        path="x" if kept else None, duration_s=1.5 if kept else None,
    )  # fmt: skip


def write(folder: Path, rows: list[LedgerRow], end: str = "") -> Path:
    """The folder, with these rows as its ledger and `end` behind them."""
    folder.mkdir(exist_ok=True)
    (folder / "ledger.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in rows) + end)
    return folder
