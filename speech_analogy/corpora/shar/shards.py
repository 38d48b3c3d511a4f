"""A folder of Lhotse Shar as cuts, one by one, with the places of their clips in place of the clips themselves."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

from lhotse import AudioSource, MonoCut, MultiCut, Recording

from speech_analogy.corpora.cut_files import CUTS_SUFFIXES, cuts_in
from speech_analogy.corpora.shar.clips import SHAR_SOURCE, Clip
from speech_analogy.errors import DataError, one_line
from speech_analogy.foundation.user_files.json_text import parse_json

INSIDE = "shar"  # where `synthesize` puts shards in its own folder
MANIFESTS, TARS = "cuts.*.jsonl*", "recording.*.tar*"
DESCRIPTION, NO_CLIP = "json", "nodata"  # suffixes of members: what a clip is, and that there is none
LARGEST_DESCRIPTION_BYTES = 1 << 20
MAKE_ANEW = "make it anew with `speech-analogy synthesize --storage shar`, or Lhotse's SharWriter"


class Shard(NamedTuple):
    """One shard: its manifest and its tar."""

    cuts: Path
    tar: Path


def is_shar(path: Path) -> bool:
    """Whether a path is a folder of Shar, or one that `synthesize --storage shar` wrote."""
    return _folder(path) is not None


def shards_in(path: Path) -> list[Shard]:
    """The shards of a folder, in the order of their numbers.

    Raises:
        DataError: there is none, a tar or its manifest is missing, or a tar is compressed.
    """
    folder = _folder(path)
    if folder is None:
        raise DataError("no shards of Lhotse Shar in this folder", file=path, do=MAKE_ANEW)
    tars = {_number(tar): tar for tar in sorted(folder.glob(TARS))}
    manifests = {_number(file): file for file in sorted(folder.glob(MANIFESTS)) if file.name.endswith(CUTS_SUFFIXES)}
    for number in sorted(tars.keys() | manifests.keys()):
        there = tars.get(number) or manifests[number]
        if number not in tars:
            raise DataError("the shard has cuts and no recording.*.tar", file=there, do=MAKE_ANEW)
        if number not in manifests:
            raise DataError("the shard has no cuts.*.jsonl.gz: was its writer stopped?", file=there, do=MAKE_ANEW)
        if there.suffix != ".tar":
            rule = "a clip is found by its place, so the tar must not be compressed"
            raise DataError(rule, file=there, value=there.suffix, do="unpack it: gunzip")
    return [Shard(manifests[number], tars[number]) for number in sorted(tars)]


def shar_cuts(path: Path) -> Iterator[Any]:
    """The cuts of a folder of Shar, in order; they are not checked, see `cut_checks`. No clip is read.

    Raises:
        DataError: as `shards_in` and `cuts_of_shard`.
    """
    for shard in shards_in(path):
        yield from cuts_of_shard(shard)


def cuts_of_shard(shard: Shard) -> Iterator[Any]:
    """The cuts of one shard, with the places of their clips.

    Raises:
        DataError: the manifest is no file of cuts, the tar is torn, or the two do not fit each other.
    """
    clips = _clips(shard.tar)
    for cut, found in zip_longest(cuts_in(shard.cuts), clips):
        if cut is None or found is None:
            rule = f"the shard must have a clip for each cut: {'a cut' if cut is None else 'a clip'} is missing"
            raise DataError(rule, file=shard.tar, do=MAKE_ANEW)
        name, recording = found
        if name != cut.id:
            rule = "the clips must be in the order of the cuts"
            raise DataError(rule, file=shard.tar, field=str(cut.id), value=name, do=MAKE_ANEW)
        if not isinstance(cut, MonoCut | MultiCut):
            raise DataError(f"{cut.id}: a cut of a shard must be of one recording", file=shard.cuts)
        cut.recording = recording
        yield cut


def _clips(tar: Path) -> Iterator[tuple[str, Recording]]:
    """Name and recording of each clip: its place, with what the member after it says of rate, length and channels."""
    size, place = tar.stat().st_size, tar.resolve()
    waiting: tuple[str, Clip] | None = None
    try:
        with tarfile.open(tar, "r:") as file:
            for member in file:
                name, _, suffix = member.name.rpartition(".")
                if not member.isreg() or member.issparse() or member.offset_data + member.size > size:
                    raise DataError("the shard is torn, or no tar of clips", file=tar, value=member.name, do=MAKE_ANEW)
                if waiting is None and suffix == NO_CLIP:
                    raise DataError("a cut of the shard has no clip", file=tar, field=name, do="leave it out")
                if waiting is None:
                    waiting = name, Clip(place, member.offset_data, member.size)
                    continue
                if (waiting[0], suffix) != (name, DESCRIPTION) or member.size > LARGEST_DESCRIPTION_BYTES:
                    rule = "each clip must be followed by the .json that describes it"
                    raise DataError(rule, file=tar, value=member.name, do=MAKE_ANEW)
                content = file.extractfile(member)
                yield name, _recording(b"" if content is None else content.read(), waiting[1], name)
                waiting = None
                cast(Any, file).members.clear()  # else every header is kept
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"the shard cannot be read as a tar: {error}", file=tar, do=MAKE_ANEW) from None
    if waiting is not None:
        raise DataError("the shard ends before its last clip is described", file=tar, do=MAKE_ANEW)


def _recording(said: bytes, clip: Clip, name: str) -> Recording:
    try:
        recording = Recording.from_dict(parse_json(said.decode("utf-8")))
        channels = list(recording.channel_ids or [])
    except Exception as error:  # Lhotse takes the fields as they come
        rule = f"a clip's .json must describe a recording: {one_line(error)[:200]}"
        raise DataError(rule, file=clip.tar, field=name, do=MAKE_ANEW) from None
    recording.sources = [AudioSource(type=SHAR_SOURCE, channels=channels, source=clip.source)]
    return recording


def _folder(path: Path) -> Path | None:
    for folder in (path, path / INSIDE):
        if folder.is_dir() and (any(folder.glob(MANIFESTS)) or any(folder.glob(TARS))):
            return folder
    return None


def _number(path: Path) -> str:
    return path.name.split(".")[1]
