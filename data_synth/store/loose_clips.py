"""How the clips of a folder lie on disk: each a file of its own here, packed into tars in `tars.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from data_synth.plan.attempt import LedgerRow
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.plan import SynthesisPlan, TextPlan
from data_synth.store.clip_files import exists
from data_synth.store.clip_store import Placing, samples_in
from data_synth.store.ledger import Ledger
from data_synth.store.manifest import CUTS_NAME, cut_entry, cut_id, recording_entry, writing_cuts


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

    def prepare(self, plan: SynthesisPlan, ledger: Ledger) -> None:
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
