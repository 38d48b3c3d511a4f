"""What cuts must be like before anything is done with them: each once, of files alone, its text over all of it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lhotse import MonoCut, MultiCut

from speech_analogy.errors import DataError

AUDIO_IN = ("file", "memory", "shar")
"""Lhotse's kinds of audio source that only read: `command` runs a program, `url` fetches what a stranger names."""
UNCOVERED_S = 0.5  # of a cut, that its supervision may leave out at both ends together
LONGEST_S = 1e6  # seconds of a recording
MOST_TRACKS = 1000
RATES_HZ = (100, 1_000_000)
SCALAR_CUSTOM = ("domain", "prompt", "kind")  # keys of `custom` that are names


def require_sound_cuts(cuts: Iterable[Any], file: Path | None = None) -> None:
    """Refuse cuts that would be learned from or scored wrongly, or whose audio is no file; see `sound_cuts`."""
    for _ in sound_cuts(cuts, file):
        pass


def sound_cuts(cuts: Iterable[Any], file: Path | None = None) -> Iterator[Any]:
    """The cuts as they come, each once it was checked.

    Args:
        file: that they were read from, for messages.

    Raises:
        DataError: two cuts of one id, a field that is not what it must be, several supervisions in a cut or one over a
            part of it, audio that is made by a command or fetched from an address.
    """
    seen: set[str] = set()
    for cut in cuts:
        _require_form(cut, file)
        if cut.id in seen:
            do = "give every cut an id of its own; the same cut twice counts twice"
            raise DataError("two cuts have the same id", file=file, field="id", value=cut.id, do=do)
        seen.add(cut.id)
        require_files(cut, file)
        _require_one_text(cut, file)
        yield cut


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


def _require_form(cut: Any, file: Path | None) -> None:
    """Lhotse takes the fields of a manifest as they come: here each is looked at."""
    if not _is_name(cut.id):
        raise DataError("a cut must have an id in words", file=file, field="id", value=cut.id)
    tracks = getattr(cut, "tracks", None)
    parts = [cut] if tracks is None else [track.cut for track in _list(tracks, "tracks", cut, file)]
    if not 0 < len(parts) <= MOST_TRACKS:
        raise _wrong(cut, "tracks", len(parts), file)
    for track in tracks or ():
        if not _is_number(track.offset) or not 0 <= track.offset <= LONGEST_S:
            raise _wrong(cut, "offset", track.offset, file)
    for part in parts:
        _require_part(part, cut, file)


def _require_part(part: Any, cut: Any, file: Path | None) -> None:
    if not _is_number(part.duration) or not 0 < part.duration <= LONGEST_S:
        raise _wrong(cut, "duration", part.duration, file)
    if not isinstance(part, MonoCut | MultiCut):  # padding
        return
    if not _is_number(part.start) or not 0 <= part.start <= LONGEST_S:
        raise _wrong(cut, "start", part.start, file)
    custom = part.custom
    if not isinstance(custom, dict | None):
        raise _wrong(cut, "custom", custom, file)
    for name in SCALAR_CUSTOM:
        value = (custom or {}).get(name)
        if value is not None and not _is_name(str(value) if isinstance(value, numbers.Real) else value, empty=True):
            raise _wrong(cut, f"custom.{name}", value, file)
    for supervision in _list(part.supervisions, "supervisions", cut, file):
        for name in ("text", "speaker", "language"):
            value = getattr(supervision, name)
            if value is not None and not _is_name(value, empty=True):
                raise _wrong(cut, f"supervisions.{name}", value, file)
        for name in ("start", "duration"):
            value = getattr(supervision, name)
            if not _is_number(value) or not abs(value) <= LONGEST_S:
                raise _wrong(cut, f"supervisions.{name}", value, file)
    if part.recording is not None:
        _require_recording(part, cut, file)


def _require_recording(part: Any, cut: Any, file: Path | None) -> None:
    recording = part.recording
    low, high = RATES_HZ
    if not _is_number(recording.sampling_rate) or not low <= recording.sampling_rate <= high:
        raise _wrong(cut, "recording.sampling_rate", recording.sampling_rate, file)
    for name, most in (("duration", LONGEST_S), ("num_samples", LONGEST_S * high)):
        value = getattr(recording, name)
        if not _is_number(value) or not 0 < value <= most:
            raise _wrong(cut, f"recording.{name}", value, file)
    declared: list[int] = []
    for source in _list(recording.sources, "recording.sources", cut, file):
        if not isinstance(source.source, str | bytes) or (source.type == "file" and not _is_name(source.source)):
            raise _wrong(cut, "recording.sources.source", source.source, file)
        declared += _list(source.channels, "recording.sources.channels", cut, file)
    channels = part.channel if isinstance(part.channel, list | tuple) else [part.channel]
    whole = all(isinstance(one, numbers.Integral) and not isinstance(one, bool) for one in (*channels, *declared))
    if not declared or not channels or not whole or not set(channels) <= set(declared):
        raise _wrong(cut, "channel", part.channel, file)
    if not isinstance(recording.transforms, list | None):
        raise _wrong(cut, "recording.transforms", recording.transforms, file)


def _list(value: Any, name: str, cut: Any, file: Path | None) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wrong(cut, name, value, file)
    return list(value)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_name(value: object, empty: bool = False) -> bool:
    """Whether it is a text that can be written: not empty, without a lone surrogate."""
    try:
        return isinstance(value, str) and bool(value.encode() or empty)
    except UnicodeEncodeError:
        return False


def _wrong(cut: Any, field: str, value: object, file: Path | None) -> DataError:
    return DataError(f"{cut.id}: a cut's field is not what it must be", file=file, field=field, value=value)


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
