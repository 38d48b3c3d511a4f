"""The folders of all the shards of one run, made on many machines, joined into the folder that a single run makes."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from heapq import merge as merge_sorted
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from data_synth.plan.attempt import LedgerRow
from data_synth.plan.layout import SHAR_LAYOUTS, StorageLayout, clip_format
from data_synth.run.finish import ReportCounts, SynthesisReport, is_finished
from data_synth.store.clip_files import exists
from data_synth.store.clip_store import Placing
from data_synth.store.held_folder import SETTINGS_NAME, hold_folder
from data_synth.store.ledger import LEDGER_NAME, line_of, read_rows
from data_synth.store.loose_clips import loose_cuts
from data_synth.store.manifest import CUTS_NAME
from data_synth.store.rejects import find_rejected
from data_synth.store.tars import SHAR_FOLDER, cuts_name, number_of
from speech_analogy.errors import ConfigError, DataError, SynthesisError
from speech_analogy.foundation.disk.inside import inside
from speech_analogy.foundation.disk.syncing import sync_folders
from speech_analogy.foundation.files import replacing
from speech_analogy.foundation.progress import BYTES, bar
from speech_analogy.foundation.user_files.json_text import read_object

Transfer: TypeAlias = Literal["link", "copy", "move"]

MOST_SHARDS = 1_000_000
TRANSFERS: tuple[Transfer, ...] = ("link", "copy", "move")
SHARD_FIELDS = ("shard", "of_shards", "plan", "texts_per_block", "language")  # of settings.json


@dataclass
class _ShardFolder:
    """One folder: its settings, and its rows, read once from the first to the last."""

    folder: Path
    settings: dict[str, Any]
    others: Iterator[LedgerRow] = field(default_factory=lambda: iter(()))
    """After `texts()`: the rows of texts with nothing to be said, by key."""

    @property
    def number(self) -> int:
        """Which shard it is, from 1."""
        return int(self.settings["shard"])

    def texts(self) -> Iterator[list[LedgerRow]]:
        """The rows of every text that can be spoken, in the order of the plan."""
        for text_id, rows in groupby(read_rows(self.folder), lambda row: row.text_id if row.engine else None):
            if text_id is None:
                self.others = rows
                return
            yield list(rows)


def join_shards(
    folders: Sequence[Path], out: Path, *, transfer: Transfer = "link", progress: bool = True
) -> SynthesisReport:
    """Join the folders of all the shards of a run: ledger, clips and cuts are those of a single run, byte for byte.

    Rows are read one text at a time. Killed and started again, it goes on; nothing is taken for finished before
    the ledger is in place.

    Args:
        folders: one of every shard, in any order; each finished.
        out: a new folder, or one that an earlier call with these folders began.
        transfer: `link` gives clips a second name where the file system allows it, and copies them elsewhere;
            `move` leaves the folders without clips.
        progress: show a bar with the time left.

    Raises:
        DataError: a folder is not a finished shard, one is missing or there twice, a clip is missing, `out` holds
            something else, or no shard has a clip.
        ConfigError: the shards are not of one plan.
        SynthesisError: something cannot be written.
    """
    shards = _checked([_open(Path(folder).resolve()) for folder in folders])
    out = out.resolve()
    if any(out == shard.folder for shard in shards):
        raise DataError("is one of the shards", file=out, do="name a new folder")
    first = shards[0].settings
    settings = {name: value for name, value in first.items() if name not in SHARD_FIELDS}
    placing = Placing(out, out, clip_format(settings["storage"]), settings["sampling_rate"], first["language"])
    with hold_folder(out, settings):
        try:
            return _join(shards, placing, settings["storage"] in SHAR_LAYOUTS, transfer, progress)
        except OSError as error:
            raise SynthesisError(f"cannot be written: {error}", file=out, do="start again; it goes on here") from None


def _open(folder: Path) -> _ShardFolder:
    """A folder that is a finished shard."""
    path = folder / SETTINGS_NAME
    settings = read_object(path, missing="the folder was not made by synthesize")
    if not set(SHARD_FIELDS) <= settings.keys():
        raise DataError("the folder is not a shard", file=folder, do="make shards with --shard I/N")
    _require_form(path, settings)
    if not is_finished(folder / LEDGER_NAME):
        rule = f"shard {settings['shard']}/{settings['of_shards']} is not finished"
        raise DataError(rule, file=folder, do="start it again; it goes on")
    return _ShardFolder(folder, settings)


def _require_form(path: Path, settings: dict[str, Any]) -> None:
    """Refuse settings whose values are not what a synthesis writes."""
    for name in ("shard", "of_shards", "texts_per_block", "sampling_rate"):
        value = settings.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST_SHARDS:
            raise DataError(f"must be a whole number from 1 to {MOST_SHARDS}", file=path, field=name, value=value)
    if settings.get("storage") not in get_args(StorageLayout):
        raise DataError("there is no such storage", file=path, field="storage", value=settings.get("storage"))
    if not isinstance(settings["language"], str):
        raise DataError("must be a language's tag", file=path, field="language", value=settings["language"])


def _checked(shards: list[_ShardFolder]) -> list[_ShardFolder]:
    """All the shards of one run, each once, in order."""
    if not shards:
        raise DataError("there is no shard to join", field="folders")
    first = shards[0]
    by_number: dict[int, _ShardFolder] = {}
    for shard in shards:
        for name in sorted(first.settings.keys() | shard.settings.keys()):
            value, expected = shard.settings.get(name), first.settings.get(name)
            if name != "shard" and value != expected:
                rule = f"differs from {first.folder}, which has {expected!r}: they are not shards of one run"
                raise ConfigError(rule, file=shard.folder / SETTINGS_NAME, field=name, value=value)
        twin = by_number.setdefault(shard.number, shard)
        if twin is not shard:
            raise DataError(f"is shard {shard.number}, as {twin.folder} is", file=shard.folder, do="name one of them")
    of = first.settings["of_shards"]
    missing = [f"{number}/{of}" for number in range(1, of + 1) if number not in by_number]
    if missing:
        raise DataError("shards are missing", field="folders", value=", ".join(missing), do="name their folders too")
    return [by_number[number] for number in sorted(by_number)]


def _join(
    shards: Sequence[_ShardFolder], placing: Placing, packed: bool, transfer: Transfer, progress: bool
) -> SynthesisReport:
    tally = ReportCounts()
    needed: dict[Path, _ShardFolder] = {}  # tar shards
    ledger = placing.out / LEDGER_NAME
    nbytes = sum((shard.folder / LEDGER_NAME).stat().st_size for shard in shards)
    with bar(nbytes, "join", BYTES, show=progress) as shown, ExitStack() as stack:
        write_cut = None if packed else stack.enter_context(loose_cuts(placing))
        write_row = stack.enter_context(_writing_ledger(ledger))
        for shard, rows in _texts(shards):
            _count(rows, tally)
            for row in rows:
                shown.update(write_row(row))
                if row.path is not None and packed:
                    needed[Path(row.path)] = shard
                else:
                    _bring_clip(row, shard, placing.out, transfer)
                if row.kept and write_cut is not None:
                    write_cut(row)
        for row in merge_sorted(*(shard.others for shard in shards), key=lambda row: row.key):
            tally.reject(row)
            tally.text(row.text_id, False, row.text, row.text, clips=False)
            shown.update(write_row(row))
        for tar, shard in needed.items():
            manifest = tar.with_name(cuts_name(number_of(tar)))
            for path in (tar, manifest):
                _bring(shard.folder, path, placing.out, transfer)
        if not tally.kept:
            raise DataError("no shard has a clip", file=placing.out)
        sync_folders(placing.out)  # the clips' names, before a ledger says that all are there
    return tally.report(placing.out / (SHAR_FOLDER if packed else CUTS_NAME), ledger, made=0)


def _texts(shards: Sequence[_ShardFolder]) -> Iterator[tuple[_ShardFolder, list[LedgerRow]]]:
    """The rows of every text of the whole plan, in its order: blocks of it were dealt out in turn."""
    streams = [(shard, shard.texts()) for shard in shards]
    ended = False
    while not ended:
        for shard, texts in streams:
            block = list(islice(texts, shard.settings["texts_per_block"]))
            ended = ended or len(block) < shard.settings["texts_per_block"]
            yield from ((shard, rows) for rows in block)
    for shard, texts in streams:
        if next(texts, None) is not None:
            raise DataError("the ledger has more texts than its share", file=shard.folder / LEDGER_NAME)


def _count(rows: Sequence[LedgerRow], tally: ReportCounts) -> None:
    """Count one text; each of its clips begins with a first attempt."""
    clips: list[list[LedgerRow]] = []
    for row in rows:
        if row.attempt == 0:
            clips.append([])
        clips[-1].append(row)
    kept = [tally.clip(clip, (clip[0].domain, f"{clip[0].engine}:{clip[0].voice}")) for clip in clips]
    first = rows[0]
    tally.text(first.text_id, any(kept), first.spoken or first.text, first.text, clips=True)


def _bring_clip(row: LedgerRow, shard: _ShardFolder, out: Path, transfer: Transfer) -> None:
    """Bring the file of a kept clip; or of a rejected one, if that was kept to be listened to."""
    if row.path is not None:
        _bring(shard.folder, Path(row.path), out, transfer)
    elif (rejected := find_rejected(shard.folder, row.key)) is not None:
        _bring(shard.folder, rejected.relative_to(shard.folder), out, transfer)


def _bring(folder: Path, path: Path, out: Path, transfer: Transfer) -> None:
    """Bring one file, whole or not at all; nothing is to be done where an earlier call brought it.

    Args:
        path: in `folder`, and in `out`.

    Raises:
        DataError: it is not there, or leads out of one of the folders.
    """
    source, target = inside(folder, str(path), named_by=folder / LEDGER_NAME), inside(out, str(path))
    if exists(target):
        return
    if not exists(source):
        raise DataError("the file is missing or empty", file=source, do="start its shard again; it is made anew")
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # another file system, or one without links
        if transfer == "link":
            os.link(source, target)
            return
        if transfer == "move":
            source.replace(target)
            return
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
    if transfer == "move":
        source.unlink()


@contextmanager
def _writing_ledger(path: Path) -> Iterator[Callable[[LedgerRow], int]]:
    """Write a ledger and put it in place where the block ends well; what is yielded returns the bytes of a row.

    Raises:
        DataError: there is one already that says something else.
    """
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            yield lambda row: file.write(line_of(row))
        if path.is_file() and not filecmp.cmp(path, temporary, shallow=False):
            raise DataError("the folder has a ledger of other clips", file=path, do="name a new folder")
