"""How the clips of a folder lie on disk: each a file of its own here, packed into tar shards in `shar.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from data_synth.clips import Storage, exists
from data_synth.ledger import Ledger, LedgerRow
from data_synth.manifest import CUTS_NAME, cut_entry, cut_id, recording_entry, writing_cuts
from data_synth.plan import Plan, TextPlan
from data_synth.worker import ClipPlan

Layout: TypeAlias = Literal["flac", "opus", "shar", "shar-opus"]

CLIPS_PER_SHARD = 1000  # of a tar shard: about 30 MB of FLAC at 16 kHz
SHAR_LAYOUTS: tuple[Layout, ...] = ("shar", "shar-opus")


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
    """Keeps the clips of one folder, and tells what there is of them."""

    @property
    def manifest(self) -> Path:
        """The file of cuts, or the folder of shards."""
        ...

    def prepare(self, plan: Plan, ledger: Ledger) -> None:
        """Bring what earlier runs left into a state that the plan can go on from."""
        ...

    def is_whole(self, text: TextPlan) -> bool:
        """Whether all the clips of a text are there, and need not be looked at one by one."""
        ...

    def has(self, row: LedgerRow) -> bool:
        """Whether the clip of a kept row is there."""
        ...

    def begin(self, text: TextPlan, waiting: int) -> int:
        """Take note of a text, of which so many clips are still to be made. Batches stay within what is returned."""
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


def clip_format(layout: Layout) -> Storage:
    """The format of a clip."""
    return "opus" if layout in ("opus", "shar-opus") else "flac"


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


@contextmanager
def loose_cuts(placing: Placing) -> Iterator[Callable[[LedgerRow], None]]:
    """Write `cuts.jsonl.gz`: what is yielded takes the rows of kept clips, in order."""
    with writing_cuts(placing.out / CUTS_NAME) as write:

        def add(row: LedgerRow) -> None:
            samples = samples_in(row, placing.sampling_rate)
            source = str(placing.root / str(row.path))
            recording = recording_entry(cut_id(row), "file", source, samples, placing.sampling_rate)
            write(cut_entry(row, recording, placing.language))

        yield add


class LooseClips:
    """Each clip a file of its own, `clips/ab/abcd….flac`, and one manifest of them all."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    @property
    def manifest(self) -> Path:
        """See `Store`."""
        return self._placing.out / CUTS_NAME

    def prepare(self, plan: Plan, ledger: Ledger) -> None:
        """See `Store`: nothing is to be done."""

    def is_whole(self, text: TextPlan) -> bool:
        """See `Store`: every file is looked for."""
        return False

    def has(self, row: LedgerRow) -> bool:
        """See `Store`."""
        return row.path is not None and exists(self._placing.out / row.path)

    def begin(self, text: TextPlan, waiting: int) -> int:
        """See `Store`: a batch may hold any texts."""
        return 0

    def done(self, clips: Iterable[ClipPlan]) -> None:
        """See `Store`: nothing is to be done."""

    def close(self) -> None:
        """See `Store`: nothing is to be done."""

    def placed(self, row: LedgerRow, text: TextPlan | None) -> LedgerRow:
        """See `Store`: a clip stays where it was made."""
        return row

    def writing(self) -> AbstractContextManager[Callable[[LedgerRow], None]]:
        """See `Store`."""
        return loose_cuts(self._placing)
