"""Clips packed into Lhotse Shar: tar shards of FLAC or Opus with a manifest each, in the order of the plan.

A clip is first a file of its own; when all clips of a shard are finished they are packed, and the files removed. A
shard is one block of the plan, so its bytes depend on nothing that happened on the way. Its manifest is written
last: a tar without one is not a shard. A shard that is not what the plan asks for (texts were added, options
changed) is unpacked into files again before the run goes on. Read it with `CutSet.from_shar(in_dir=OUT / "shar")`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data_synth.plan.attempt import LedgerRow
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.plan import SynthesisPlan, TextPlan
from data_synth.store.clip_files import CLIPS_FOLDER, clip_path, exists
from data_synth.store.clip_store import Placing, attempts_at, samples_in
from data_synth.store.ledger import Ledger
from data_synth.store.manifest import CUT_KEY_DIGITS, cut_entry, cut_line, recording_entry, writing_cuts
from speech_analogy.foundation.digests import sha256
from speech_analogy.foundation.disk.inside import inside
from speech_analogy.foundation.disk.syncing import make_folder, sync_folders
from speech_analogy.foundation.files import PARTIAL_SUFFIX, replacing, write_whole

SHAR_FOLDER = "shar"
END_BYTES = 2 * tarfile.BLOCKSIZE  # zeros
NUMBER_DIGITS = 6  # of a shard's number in its files' names


def recording_name(number: int) -> str:
    """The tar of a shard: `recording.000012.tar`."""
    return f"recording.{number:0{NUMBER_DIGITS}d}.tar"


def cuts_name(number: int) -> str:
    """The manifest of a shard: `cuts.000012.jsonl.gz`."""
    return f"cuts.{number:0{NUMBER_DIGITS}d}.jsonl.gz"


def number_of(path: Path) -> int:
    """The number of the shard that a file is of."""
    return int(path.name.split(".")[1])


def numbers(folder: Path) -> set[int]:
    """The numbers of the shards in a folder, whole or not."""
    return {number_of(path) for pattern in ("cuts.*.jsonl.gz", "recording.*.tar") for path in folder.glob(pattern)}


def open_clip(folder: Path, row: LedgerRow) -> Path | io.BytesIO | None:
    """The file of a kept clip, or what it holds where it is packed; None where its tar does not hold it.

    Args:
        folder: what the row's path is relative to.
        row: of a clip that was kept.
    """
    path = inside(folder, str(row.path))
    if path.suffix != ".tar":
        return path
    with suppress(OSError, tarfile.TarError), tarfile.open(path) as file:
        for member in file:
            if member.name.rsplit(".", 1)[0].endswith(f"-{row.key[:CUT_KEY_DIGITS]}"):
                content = file.extractfile(member)
                return None if content is None else io.BytesIO(content.read())
    return None


def shar_cut(row: LedgerRow, placing: Placing) -> dict[str, Any]:
    """The cut of a clip in a shard. Its id is also a name in the tar: characters that no name takes are quoted."""
    name = f"{quote(row.text_id, safe='')}-{row.key[:CUT_KEY_DIGITS]}"
    recording = recording_entry(name, "shar", "", samples_in(row, placing.sampling_rate), placing.sampling_rate)
    return cut_entry(row, recording, placing.language)


def write_tar(path: Path, temporary: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a tar of names and contents, which alone decide about its bytes; whole or not at all."""
    with replacing(path, temporary), tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as file:
        for name, content in members:
            header = tarfile.TarInfo(name)  # no time, no owner
            header.size = len(content)
            file.addfile(header, io.BytesIO(content))


def _is_to_its_end(tar: Path) -> bool:
    """Whether a tar ends as `write_tar` ends one: what was cut off is seen without reading the rest."""
    size = tar.stat().st_size if tar.is_file() else 0
    if size == 0 or size % tarfile.RECORDSIZE:
        return False
    with tar.open("rb") as file:
        file.seek(-END_BYTES, os.SEEK_END)
        return file.read() == bytes(END_BYTES)


@dataclass
class _OpenTar:
    """A shard in the making: its texts so far, and how many of their clips are not finished."""

    texts: list[TextPlan] = field(default_factory=list)
    left: int = 0
    closed: bool = False


class SharClips:
    """See `Store`: clips in `shar/recording.NNNNNN.tar`, their cuts in `shar/cuts.NNNNNN.jsonl.gz`."""

    def __init__(self, placing: Placing, ledger: Ledger, texts_per_shard: int) -> None:
        self._placing, self._ledger, self._texts_per_shard = placing, ledger, texts_per_shard
        self._folder = placing.out / SHAR_FOLDER
        self._whole: set[int] = set()
        self._open: dict[int, _OpenTar] = {}
        self._shard_of: dict[str, int] = {}  # of the texts in `_open`
        self._last: int | None = None  # the shard that the latest text is in

    @property
    def manifest(self) -> Path:
        """See `Store`."""
        return self._folder

    def prepare(self, plan: SynthesisPlan, ledger: Ledger) -> None:
        """See `Store`: find the shards that are as the plan has them, and unpack the others."""
        make_folder(self._folder)
        there = numbers(self._folder)
        if there:
            for number, texts in groupby((text for text in plan if text.parts), self._number):
                if number in there and self._is_as_planned(number, list(texts)):
                    self._whole.add(number)
        for number in sorted(there - self._whole):
            self._unpack(number)

    def is_whole(self, text: TextPlan) -> bool:
        """See `Store`."""
        return bool(text.parts) and self._number(text) in self._whole

    def has(self, row: LedgerRow) -> bool:
        """See `Store`; asked of clips that are not packed."""
        return exists(self._placing.out / self._loose(row))

    def begin(self, text: TextPlan, waiting: int) -> int:
        """See `Store`: a batch stays within a shard."""
        number = self._number(text)
        if number != self._last:
            self.close()
            self._last, self._open[number] = number, _OpenTar()
        shard = self._open[number]
        shard.texts.append(text)
        shard.left += waiting
        self._shard_of[text.text.id] = number
        return number

    def done(self, clips: Iterable[ClipPlan]) -> None:
        """See `Store`: a shard of which all is finished is packed."""
        for clip in clips:
            number = self._shard_of[clip.text_id]
            self._open[number].left -= 1
            self._pack_if_finished(number)

    def close(self) -> None:
        """See `Store`: the latest shard gets no further text."""
        if self._last is not None:
            self._open[self._last].closed = True
            self._pack_if_finished(self._last)
            self._last = None

    def placed(self, row: LedgerRow, text: TextPlan | None) -> LedgerRow:
        """See `Store`: in a shard, or a file of its own where the plan does not ask for it."""
        if row.path is None:
            return row
        path = self._loose(row) if text is None else f"{SHAR_FOLDER}/{recording_name(self._number(text))}"
        return row if row.path == path else row.model_copy(update={"path": path})

    @contextmanager
    def writing(self) -> Iterator[Callable[[LedgerRow], None]]:
        """See `Store`: every shard has its manifest already. Folders of files that are packed are removed."""
        yield lambda row: None
        for folder in [*(self._placing.out / CLIPS_FOLDER).glob("*"), self._placing.out / CLIPS_FOLDER]:
            with suppress(OSError):  # not there, or not empty
                folder.rmdir()

    def _number(self, text: TextPlan) -> int:
        return text.number // self._texts_per_shard

    def _loose(self, row: LedgerRow) -> str:
        return clip_path(row.key, self._placing.format)

    def _kept(self, texts: Iterable[TextPlan]) -> list[LedgerRow] | None:
        """The kept rows of texts, in order; None where a clip is not finished."""
        kept = []
        for clip in (clip for text in texts for clip in text.clips):
            rows = attempts_at(clip, self._ledger)
            if not rows or clip.after(rows[-1]) is not None:
                return None
            if rows[-1].kept:
                kept.append(rows[-1])
        return kept

    def _is_as_planned(self, number: int, texts: list[TextPlan]) -> bool:
        """Whether a shard holds the clips of these texts and says so; files that a killed run left are removed."""
        rows = self._kept(texts)
        if not rows or not _is_to_its_end(self._folder / recording_name(number)):
            return False
        try:
            with gzip.open(self._folder / cuts_name(number)) as file:
                found = file.read()
        except (OSError, EOFError):
            return False
        if found != b"".join(cut_line(shar_cut(row, self._placing)) for row in rows):
            return False
        self._remove_files(rows)
        return True

    def _pack_if_finished(self, number: int) -> None:
        shard = self._open[number]
        if not shard.closed or shard.left:
            return
        self._pack(number, self._kept(shard.texts) or [])
        for text in shard.texts:
            del self._shard_of[text.text.id]
        del self._open[number]
        self._whole.add(number)

    def _pack(self, number: int, rows: list[LedgerRow]) -> None:
        """Write the shard of these clips: the tar, then its manifest; then remove the clips' files."""
        if not rows:
            return

        def members() -> Iterator[tuple[str, bytes]]:
            for row, cut in zip(rows, cuts, strict=True):
                content = (self._placing.out / self._loose(row)).read_bytes()
                yield f"{cut['id']}.{self._placing.format}", content
                yield f"{cut['id']}.json", (json.dumps(cut["recording"]) + "\n").encode("utf-8")

        cuts = [shar_cut(row, self._placing) for row in rows]
        tar, manifest = recording_name(number), cuts_name(number)
        write_tar(self._folder / tar, self._temporary(tar), members())
        with writing_cuts(self._folder / manifest, self._temporary(manifest)) as write:
            for cut in cuts:
                write(cut)
        self._remove_files(rows)

    def _temporary(self, name: str) -> Path:
        """Beside the folder of shards: Lhotse takes every file in that for one."""
        return self._placing.out / f"{name}{PARTIAL_SUFFIX}"

    def _remove_files(self, rows: Iterable[LedgerRow]) -> None:
        for row in rows:
            (self._placing.out / self._loose(row)).unlink(missing_ok=True)

    def _unpack(self, number: int) -> None:
        """Make every clip of a shard a file again that the ledger has a row for; then remove the shard."""
        tar = self._folder / recording_name(number)
        with suppress(FileNotFoundError, tarfile.ReadError), tarfile.open(tar) as file:
            for member in file:
                name = Path(member.name)
                if name.suffix != f".{self._placing.format}" or (content := file.extractfile(member)) is None:
                    continue
                clip = content.read()
                for row in self._ledger.beginning(name.stem[-CUT_KEY_DIGITS:]):
                    if row.sha256 == sha256(clip):
                        write_whole(self._placing.out / self._loose(row), clip, lasting=False)
        sync_folders(self._placing.out / CLIPS_FOLDER)  # before the only other copy goes
        (self._folder / cuts_name(number)).unlink(missing_ok=True)
        tar.unlink(missing_ok=True)
