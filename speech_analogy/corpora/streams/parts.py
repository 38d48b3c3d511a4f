"""What speech is read by: the shards of Lhotse Shar, and manifests by so many bytes of their lines."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from speech_analogy.corpora.cut_files import CUTS_SUFFIXES, cuts_in
from speech_analogy.corpora.shar.shards import Shard, cuts_of_shard, is_shar, shards_in
from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.plain import is_file

LINES_BYTES = 1 << 18  # of a manifest that a part begins in


class Part(NamedTuple):
    """Consecutive cuts: a shard, a packed manifest, or the lines of a manifest that begin within some bytes."""

    cuts: Path
    tar: Path | None = None
    start: int = 0
    stop: int | None = None

    def read(self) -> Iterator[Any]:
        """Its cuts, in order; they are not checked, see `cut_checks`.

        Raises:
            DataError: as `cuts_in` and `cuts_of_shard`.
        """
        if self.tar is not None:
            return cuts_of_shard(Shard(self.cuts, self.tar))
        return cuts_in(self.cuts, self.start, self.stop)

    def lines(self) -> Iterator[bytes]:
        """The bytes of its shard's manifest, unpacked, line by line; what `read` has read without an error."""
        with self.cuts.open("rb") as file:
            unpacked: Any = gzip.GzipFile(fileobj=file) if self.cuts.name.endswith(".gz") else file
            yield from unpacked

    def state(self) -> list[Any]:
        """Where it lies, and what its files were like when they were last written.

        Raises:
            DataError: a file is missing.
        """
        found: list[Any] = [self.start, self.stop]
        for file in (self.cuts, self.tar):
            if file is not None:
                try:
                    known = file.stat()
                except OSError:
                    raise DataError("the file of cuts is missing, or cannot be read", file=file) from None
                found += [str(file.resolve()), known.st_size, known.st_mtime_ns]
        return found


def parts_in(sources: Sequence[Path]) -> list[Part]:
    """The parts of folders of Shar and of files of cuts, in their order.

    Raises:
        DataError: a source is missing, or neither; see `shards_in`.
    """
    found: list[Part] = []
    for source in sources:
        if is_shar(source):
            found += [Part(*shard) for shard in shards_in(source)]
        elif source.name.endswith(".jsonl") and is_file(source):
            size = source.stat().st_size
            found += [Part(source, None, at, at + LINES_BYTES) for at in range(0, max(size, 1), LINES_BYTES)]
        elif source.name.endswith(CUTS_SUFFIXES):
            found.append(Part(source))
        else:
            rule = "neither cuts nor a folder of Lhotse Shar"
            raise DataError(rule, file=source, do=f"give {' or '.join(CUTS_SUFFIXES)}, or such a folder")
    return found


def has_more(parts: Sequence[Part], count: int) -> bool:
    """Whether there are more cuts than `count`; no more of them are read than it takes to know."""
    cuts = (cut for part in parts for cut in cuts_in(part.cuts, part.start, part.stop))
    return next(islice(cuts, count, None), None) is not None
