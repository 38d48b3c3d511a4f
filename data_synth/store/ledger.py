"""What was made, from what, kept or rejected and why: one JSON row per attempt, appended; so a run can resume."""

from __future__ import annotations

import os
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from data_synth.plan.attempt import LedgerRow
from data_synth.store.key_index import KeyIndex
from speech_analogy.errors import DataError
from speech_analogy.foundation.files import replacing
from speech_analogy.foundation.user_files.plain import open_plain

LEDGER_NAME = "ledger.jsonl"
NEVER_WRITTEN = b"\0"  # what a power loss leaves where a file had grown already: no JSON has it


def line_of(row: LedgerRow) -> bytes:
    """A row as it stands in the file, with its line feed."""
    return row.model_dump_json().encode("utf-8") + b"\n"


class Ledger:
    """The ledger of one folder: read at the start, appended to while clips are made, rewritten in order at the end.

    Rows stay in the file; what is held of one is where it begins (`KeyIndex`). What a kill or a power loss has
    torn at its end is cut off when the ledger is opened; those clips are made again, to the same bytes.

    Raises:
        DataError: a whole line is not a row.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_NAME
        self._index = KeyIndex()
        self._size = 0  # bytes
        self._file: BinaryIO | None = None
        self._closing: weakref.finalize[Any, Ledger] | None = None
        if self.path.is_file():
            self._read()

    @property
    def rows(self) -> Mapping[str, LedgerRow]:
        """Key -> its last row, read from the file when it is asked for; in the order of the file."""
        return _Rows(self)

    def find(self, key: str) -> LedgerRow | None:
        """The last row of a key, or None."""
        for offset in reversed(self._index.offsets(key)):
            row = self.row_at(offset)
            if row.key == key:
                return row
        return None

    def beginning(self, prefix: str) -> list[LedgerRow]:
        """The rows whose keys begin with `prefix`, of 16 digits at most."""
        return [self.row_at(offset) for offset in self._index.beginning(prefix)]

    def append(self, rows: Iterable[LedgerRow]) -> None:
        """Add rows in one write."""
        added = [(row.key, line_of(row)) for row in rows]
        with self.path.open("ab") as file:
            file.write(b"".join(line for _, line in added))
            file.flush()
            os.fsync(file.fileno())  # its clips are on the disk already
        for key, line in added:
            self._index.add(key, self._size)
            self._size += len(line)

    @contextmanager
    def rewriting(
        self, change: Callable[[LedgerRow], LedgerRow] | None = None
    ) -> Iterator[Callable[[LedgerRow], None]]:
        """Write the ledger anew: what is yielded takes the rows in their order; the others follow by key.

        A row that comes a second time is left out. The file is put in place at the end of the block, and only
        where that ends well.

        Args:
            change: done to each of the others.
        """
        placed = bytearray(len(self._index))
        written = KeyIndex()
        size = 0
        with replacing(self.path) as temporary, temporary.open("wb") as file:

            def write(row: LedgerRow) -> None:
                nonlocal size
                written.add(row.key, size)
                size += file.write(line_of(row))

            def place(row: LedgerRow) -> None:
                if self._mark(row.key, placed):
                    write(row)

            yield place
            for row in self._others(placed):
                write(row if change is None else change(row))
            self._close()
        self._index, self._size = written, size

    def offsets(self) -> list[int]:
        """Where the last row of every key begins, in bytes, ascending."""
        last = array("Q")
        for group in self._index.groups():
            offsets = [self._index.offset(place) for place in group]
            last.extend(offsets if len(offsets) == 1 else {self.row_at(at).key: at for at in offsets}.values())
        return sorted(last)

    def row_at(self, offset: int) -> LedgerRow:
        """The row that begins at an offset."""
        if self._file is None:
            self._file = self.path.open("rb")
            self._closing = weakref.finalize(self, self._file.close)
        self._file.seek(offset)
        return LedgerRow.model_validate_json(self._file.readline())

    def _mark(self, key: str, placed: bytearray) -> bool:
        """Mark the rows of a key as placed; False where they were."""
        group = list(self._index.positions(key))
        if len(group) > 1:
            group = [place for place in group if self.row_at(self._index.offset(place)).key == key]
        fresh = any(not placed[place] for place in group)
        for place in group:
            placed[place] = 1
        return fresh

    def _others(self, placed: bytearray) -> Iterator[LedgerRow]:
        """The rows that are not marked, the last of each key, by key."""
        for group in self._index.groups():
            rows = (self.row_at(self._index.offset(place)) for place in group if not placed[place])
            last = {row.key: row for row in rows}
            yield from (last[key] for key in sorted(last))

    def _close(self) -> None:
        if self._closing is not None:
            self._closing()
        self._file = self._closing = None

    def _read(self) -> None:
        good = 0  # bytes
        with open_plain(self.path) as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n") or NEVER_WRITTEN in line:
                    break
                try:
                    self._index.add(LedgerRow.model_validate_json(line).key, good)
                except ValidationError as error:
                    raise _broken(self.path, number, reason_in(error)) from None
                good += len(line)
        if good < self.path.stat().st_size:
            os.truncate(self.path, good)
        self._size = good


class _Rows(Mapping[str, LedgerRow]):
    """A ledger as a mapping, for whoever wants all of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getitem__(self, key: str) -> LedgerRow:
        row = self._ledger.find(key)
        if row is None:
            raise KeyError(key)
        return row

    def __iter__(self) -> Iterator[str]:
        return (self._ledger.row_at(offset).key for offset in self._ledger.offsets())

    def __len__(self) -> int:
        return len(self._ledger.offsets())


def read_rows(ledger: Path) -> Iterator[LedgerRow]:
    """The rows of a ledger, one at a time; an end torn by a kill or a power loss is left out.

    Args:
        ledger: `ledger.jsonl`, or the folder that holds it.

    Raises:
        DataError: it is missing, or a whole line is not a row.
    """
    path = ledger / LEDGER_NAME if ledger.is_dir() else ledger
    with open_plain(path, missing="there is no ledger", do="name a folder that synthesize made") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n") or NEVER_WRITTEN in line:
                return
            try:
                yield LedgerRow.model_validate_json(line)
            except ValidationError as error:
                raise _broken(path, number, reason_in(error)) from None


def reason_in(error: ValidationError) -> str:
    """What pydantic found first, in a few words."""
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


def _broken(path: Path, number: int, why: str) -> DataError:
    rule = f"line {number} is not a row of a ledger: {why}"
    return DataError(rule, file=path, do="delete that line, or name another folder")


def reason_gate(row: LedgerRow) -> str:
    """What a rejected row was rejected by: a gate's name, `engine` or `unspeakable`."""
    return (row.reason or "").split(" ", 1)[0].rstrip(":")
