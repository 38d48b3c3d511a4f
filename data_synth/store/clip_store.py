"""What a store of clips can do, and what a manifest says of every clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data_synth.audio.encode import Storage
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.plan import SynthesisPlan, TextPlan
from data_synth.store.ledger import Ledger


@dataclass(frozen=True)
class Placing:
    """What a folder's manifest says of every clip, whatever the clip.

    Attributes:
        out: the folder.
        root: the name it will have when it is used; cuts name loose clips by absolute paths.
        format: of a clip.
        sampling_rate: of a clip, in Hz.
        language: of the texts.
    """

    out: Path
    root: Path
    format: Storage
    sampling_rate: int
    language: str


class Store(Protocol):
    """Keeps the clips of one folder, and knows which of them exist."""

    @property
    def manifest(self) -> Path:
        """The file of cuts, or the folder of shards."""
        ...

    def prepare(self, plan: SynthesisPlan, ledger: Ledger) -> None:
        """Bring what earlier runs left into a state that the plan can go on from."""
        ...

    def is_whole(self, text: TextPlan) -> bool:
        """Whether all the clips of a text are there, and need not be looked at one by one."""
        ...

    def has(self, row: LedgerRow) -> bool:
        """Whether the clip of a kept row is there."""
        ...

    def begin(self, text: TextPlan, waiting: int) -> int:
        """Take note of a text, of which `waiting` clips are still to be made. Batches stay within what is returned."""
        ...

    def done(self, clips: Iterable[ClipPlan]) -> None:
        """Take note of clips that are finished, kept or not, with their rows in the ledger."""
        ...

    def close(self) -> None:
        """Take note that no further text follows."""
        ...

    def placed(self, row: LedgerRow, text: TextPlan | None) -> LedgerRow:
        """A row with the path where its clip lies at the end of the run; no text: it is not of the plan."""
        ...

    def writing(self) -> AbstractContextManager[Callable[[LedgerRow], None]]:
        """Write the manifest: what is yielded takes the rows of kept clips, in order."""
        ...


def attempts_at(clip: ClipPlan, ledger: Ledger) -> list[LedgerRow]:
    """The attempts made at a clip, in order; the last one is kept where the clip is.

    Text id and domain are the plan's: they are no part of a clip's key, and may have changed since it was made.
    """
    rows: list[LedgerRow] = []
    attempt: int | None = 0
    while attempt is not None and (row := ledger.find(clip.key(attempt))) is not None:
        if (row.text_id, row.domain) != (clip.text_id, clip.domain):
            row = row.model_copy(update={"text_id": clip.text_id, "domain": clip.domain})
        rows.append(row)
        attempt = clip.after(row)
    return rows


def next_attempt(clip: ClipPlan, ledger: Ledger, store: Store) -> int | None:
    """The attempt to go on with at a clip; None where it is finished. A kept clip that is gone is made again."""
    rows = attempts_at(clip, ledger)
    if not rows:
        return 0
    last = rows[-1]
    if last.kept and not store.has(last):
        return last.attempt
    return clip.after(last)


def samples_in(row: LedgerRow, sampling_rate: int) -> int:
    """The number of samples of a kept clip."""
    return round((row.duration_s or 0.0) * sampling_rate)
