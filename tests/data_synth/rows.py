"""Rows of a ledger, and clips of a plan, as tests need them."""

from __future__ import annotations

from collections.abc import Sequence

from data_synth.plan.attempt import GateRow, LedgerRow
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import SynthesisPlan, Texts
from data_synth.plan.voices import Voice


def row(number: int, **changes: object) -> LedgerRow:
    values = {
        "key": f"{number:064d}",
        "text_id": str(number),
        "text": "zoë\u2028said",
        "domain": "d",
        "engine": "e",
        "voice": "v",
        "revision": "1",
        "parameters": {"speed": 1.0, "pitch": 50, "accent": "x"},
        "seed": number,
        "attempt": 0,
        "status": "kept",
        "gates": {"level_db": GateRow(value=-20.0, minimum=-50.0), "odd": GateRow(value=None)},
        "path": "clips/00/0.flac",
        "duration_s": 1.5,
        "sha256": "0" * 64,
    }
    return LedgerRow.model_validate({**values, **changes})


def planned(texts: Texts, voices: Sequence[Voice], options: SynthesisOptions) -> list[ClipPlan]:
    """The clips to be made, in the order of the cuts."""
    return [clip for text in SynthesisPlan(texts, voices, options) for clip in text.clips]
