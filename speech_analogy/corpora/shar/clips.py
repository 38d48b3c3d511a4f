"""A clip in a tar: the place that stands for it as a cut's audio source, and its bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from speech_analogy.errors import DataError

SHAR_SOURCE = "shar"  # Lhotse's type of an audio source that lies in a shard
LARGEST_CLIP_BYTES = 1 << 30
_PLACE = re.compile(r"#(\d{1,18})\+(\d{1,18})$")


class Clip(NamedTuple):
    """Where a clip lies: `size` bytes of `tar` from `offset` on."""

    tar: Path
    offset: int
    size: int

    @property
    def source(self) -> str:
        """As an audio source of type `shar` names it: `PATH.tar#OFFSET+SIZE`."""
        return f"{self.tar}#{self.offset}+{self.size}"

    @classmethod
    def named(cls, source: str) -> Clip | None:
        """The clip that a source names; None for one without a place, as Lhotse leaves it in a manifest."""
        found = _PLACE.search(source)
        return None if found is None else cls(Path(source[: found.start()]), int(found[1]), int(found[2]))

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            DataError: the tar is missing or ends before the clip does.
        """
        if self.size > LARGEST_CLIP_BYTES:
            raise DataError(f"a clip must have at most {LARGEST_CLIP_BYTES} bytes", file=self.tar, value=self.size)
        try:
            with self.tar.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError:
            raise DataError("the shard is missing or cannot be read", file=self.tar) from None
        if len(content) < self.size:
            raise DataError("the shard ends before its clip does", file=self.tar, value=self.source, do="make it anew")
        return content


def clips_of(cut: Any) -> list[Clip]:
    """The clips in tars that a cut is made of, mixed ones' too; none where its audio lies elsewhere."""
    parts = [track.cut for track in cut.tracks] if hasattr(cut, "tracks") else [cut]
    recordings = (part.recording for part in parts if getattr(part, "recording", None) is not None)
    named = (Clip.named(str(one.source)) for own in recordings for one in own.sources if one.type == SHAR_SOURCE)
    return [clip for clip in named if clip is not None]
