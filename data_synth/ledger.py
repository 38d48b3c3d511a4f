"""What was made, from what, kept or rejected and why: one JSON row a clip, appended; what makes a run resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_synth.seeds import digest
from speech_analogy.errors import DataError

LEDGER_NAME = "ledger.jsonl"


class GateRow(BaseModel):
    """A gate's number and its thresholds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float | None
    minimum: float | None = None
    maximum: float | None = None


class LedgerRow(BaseModel):
    """One attempt at one clip. `path` (relative to the ledger), `duration_s` and `sha256` where it was kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    text_id: str
    text: str
    spoken: str | None = None  # what the engine was given, where it is not the text
    domain: str
    engine: str
    voice: str
    revision: str
    parameters: dict[str, int | float | str]
    seed: int
    attempt: int
    status: Literal["kept", "rejected"]
    reason: str | None = None
    gates: dict[str, GateRow] = {}
    path: str | None = None
    duration_s: float | None = None
    sha256: str | None = None

    @property
    def kept(self) -> bool:
        """Whether the clip passed every gate and was stored."""
        return self.status == "kept"


def clip_key(
    text: str,
    engine: str,
    voice: str,
    revision: str,
    parameters: dict[str, int | float | str],
    seed: int,
    spoken: str | None = None,
) -> str:
    """What a clip is made from, as a sha256: another key, another clip; the same key, the same clip.

    `spoken`, what the engine is given, enters where it is not the text.
    """
    made_from = {
        "text": text,
        "engine": engine,
        "voice": voice,
        "revision": revision,
        "parameters": parameters,
        "seed": seed,
    }
    return digest(made_from if spoken in (None, text) else {**made_from, "spoken": spoken})


class Ledger:
    """The ledger of one folder: read at the start, appended to while clips are made, rewritten in order at the end.

    A last line torn by a kill is cut off when the ledger is opened; its clip is made again, to the same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_NAME
        self.rows: dict[str, LedgerRow] = {}
        if self.path.is_file():
            self._read()

    def append(self, rows: Iterable[LedgerRow]) -> None:
        """Add rows in one write."""
        added = list(rows)
        with self.path.open("ab") as file:
            file.write("".join(row.model_dump_json() + "\n" for row in added).encode("utf-8"))
        self.rows.update((row.key, row) for row in added)

    def rewrite(self, order: Sequence[str]) -> None:
        """Write each row once: those of `order` (keys) first and in that order, then the others by key."""
        first = dict.fromkeys(key for key in order if key in self.rows)
        keys = [*first, *sorted(key for key in self.rows if key not in first)]
        temporary = self.path.with_name(self.path.name + ".partial")
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(self.rows[key].model_dump_json() + "\n" for key in keys)
        temporary.replace(self.path)

    def _read(self) -> None:
        good = 0  # bytes
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    row = LedgerRow.model_validate_json(line)
                except ValidationError as error:
                    rule = f"line {number} is not a row of a ledger: {error.errors()[0]['msg']}"
                    raise DataError(rule, file=self.path, do="delete that line, or give another folder") from None
                self.rows[row.key] = row
                good += len(line)
        if good < self.path.stat().st_size:
            os.truncate(self.path, good)
