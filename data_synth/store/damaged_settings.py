"""A folder whose `settings.json` was torn: whether its clips and ledger speak against the settings that are given."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from data_synth.gates.judge import GateOptions, Reading, judge
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.layout import SHAR_LAYOUTS, clip_format
from data_synth.store.clip_files import CLIPS_FOLDER
from data_synth.store.ledger import LEDGER_NAME, read_rows
from data_synth.store.tars import SHAR_FOLDER

ROWS_LOOKED_AT = 1000
RATE_HZ = 16_000
A_SOUND = np.full(RATE_HZ // 10, 0.5, np.float32)


def objection(out: Path, settings: Mapping[str, Any]) -> str | None:
    """What in a folder speaks against settings, in words; None where nothing does.

    Where the clips lie, their format and rate, and the thresholds that the ledger's rows were held against.
    """
    layout = settings["storage"]
    packed, form = layout in SHAR_LAYOUTS, clip_format(layout)
    clip = next((out / CLIPS_FOLDER).glob("*/*.*"), None)
    if (out / SHAR_FOLDER).is_dir() != packed and (clip is not None or not packed):
        return f"its clips are {'not ' if packed else ''}in shards"
    if clip is not None and clip.suffix != f".{form}":
        return f"its clips are {clip.suffix[1:]}"
    rate = _rate(out, clip)
    if rate is not None and rate != settings.get("sampling_rate", rate):
        return f"its clips have {rate} Hz"
    if "gates" not in settings or not (out / LEDGER_NAME).is_file():
        return None
    gates = None if settings["gates"] is None else GateOptions.parse(settings["gates"])
    rows = islice(read_rows(out), ROWS_LOOKED_AT)
    return next((said for row in rows if (said := _other_gates(row, gates)) is not None), None)


def _rate(out: Path, clip: Path | None) -> int | None:
    """In Hz; None where it cannot be told."""
    try:
        if clip is not None:
            return int(soundfile.info(clip).samplerate) if clip.suffix == ".flac" else None
        with gzip.open(next((out / SHAR_FOLDER).glob("cuts.*.jsonl.gz")), "rt", encoding="utf-8") as file:
            return int(json.loads(file.readline())["recording"]["sampling_rate"])
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, StopIteration):
        return None


def _other_gates(row: LedgerRow, gates: GateOptions | None) -> str | None:
    """How a row's gates differ from those that are given."""
    if not row.engine or (row.reason or "").startswith("engine"):
        return None
    if gates is None:
        judged = [name for name in row.gates if name not in judge(A_SOUND[:0], RATE_HZ, row.text, None).readings]
        return f"its clips passed a gate: {judged[0]}" if judged else None
    without_models = gates.model_copy(update={"quality": None, "round_trip": None})
    expected = judge(A_SOUND, RATE_HZ, row.spoken or row.text, without_models).readings
    if row.kept:
        models = {"quality": gates.quality, "character_error_rate": gates.round_trip}
        asked = {*expected, *(name for name, options in models.items() if options is not None)}
        for name in (*expected, *models):
            if (name in row.gates) != (name in asked):
                return f"the gate {name} was {'on' if name in row.gates else 'off'}"
    for name, gate in row.gates.items():
        if name in expected and (gate.minimum, gate.maximum) != _thresholds(expected[name]):
            return f"the gate {name} had other thresholds"
    return None


def _thresholds(reading: Reading) -> tuple[float | None, float | None]:
    return reading.minimum, reading.maximum
