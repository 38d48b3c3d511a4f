"""What cuts must be like before anything is done with them: each once, of files alone, its text over all of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lhotse import MonoCut, MultiCut

from speech_analogy.errors import DataError

AUDIO_IN = ("file", "memory", "shar")
"""Lhotse's kinds of audio source that only read: `command` runs a program, `url` fetches what a stranger names."""
UNCOVERED_S = 0.5  # of a cut, that its supervision may leave out at both ends together


def require_sound_cuts(cuts: Iterable[Any], file: Path | None = None) -> None:
    """Refuse cuts that would be learned from or scored wrongly, or whose audio is no file.

    Args:
        file: that they were read from, for messages.

    Raises:
        DataError: two cuts of one id, several supervisions in a cut or one over a part of it, audio that is made by a
            command or fetched from an address.
    """
    seen: set[str] = set()
    for cut in cuts:
        if cut.id in seen:
            do = "give every cut an id of its own; the same cut twice counts twice"
            raise DataError("two cuts have the same id", file=file, field="id", value=cut.id, do=do)
        seen.add(cut.id)
        require_files(cut, file)
        _require_one_text(cut, file)


def require_files(cut: Any, file: Path | None = None) -> None:
    """Refuse a cut whose audio is made by a command or fetched from an address, before Lhotse does either."""
    for track in (
        [cut] if isinstance(cut, MonoCut | MultiCut) else [one.cut for one in getattr(cut, "tracks", [])] or [cut]
    ):
        recording = getattr(track, "recording", None)
        for source in () if recording is None else recording.sources:
            if source.type not in AUDIO_IN:
                rule = f"{cut.id}: audio must be in a file, not of a {source.type}"
                raise DataError(rule, file=file, field="source", value=source.source, do="save it as a file first")


def _require_one_text(cut: Any, file: Path | None) -> None:
    count = len(cut.supervisions)
    if count > 1:
        do = "cut it with Lhotse: cuts.trim_to_supervisions()"
        raise DataError(f"{cut.id}: a cut must have one supervision", file=file, value=f"{count}", do=do)
    if count == 0:
        return
    own = cut.supervisions[0]
    uncovered = max(0.0, own.start) + max(0.0, cut.duration - own.end)
    if uncovered > UNCOVERED_S:
        raise DataError(
            f"{cut.id}: its supervision covers only a part of it",
            file=file,
            field="supervision",
            value=f"{own.start:g} to {own.end:g} s of {cut.duration:g} s",
            do="cut it with Lhotse: cuts.trim_to_supervisions()",
        )
