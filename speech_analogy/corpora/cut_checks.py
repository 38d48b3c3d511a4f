"""What cuts must be like before anything is done with them: each once, of files alone, its text over all of it.

And, when it is loaded: its file still the recording that it was made of.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lhotse import MonoCut, MultiCut

from data_synth.audio.headers import header_problem
from speech_analogy.errors import DataError
from speech_analogy.foundation.contents import digest_of

AUDIO_IN = ("file", "memory", "shar")
"""Lhotse's kinds of audio source that only read: `command` runs a program, `url` fetches what a stranger names."""
RECORDED_FILE = "recorded_file"
"""Of a supervision's `custom`: digest and name of the cut's file as they were when the cut was made. In no hash."""
FILES_REMEMBERED = 1 << 16  # of what was found in a file
LONGER_TOLERANCE_S = 0.1  # by which a file may last longer than its recording says: lossy decoders differ
OTHER_RATES = (".ogg", ".opus", ".oga")  # Opus decodes at any rate, and programs name different ones
SPAN_DIGITS = 3  # of seconds
UNCOVERED_S = 0.5  # of a cut, that its supervision may leave out at both ends together
LONGEST_S = 1e6  # seconds of a recording
MOST_TRACKS = 1000
IMPORT_AGAIN = "is it another recording? import the corpus again"
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
        DataError: two cuts of one id, or of one file and span, a field that is not what it must be, several
            supervisions in a cut or one over a part of it, audio that is made by a command or fetched from an address.
    """
    seen: set[str] = set()
    heard: dict[Span, str] = {}
    for cut in cuts:
        _require_form(cut, file)
        if cut.id in seen:
            do = "give every cut an id of its own; the same cut twice counts twice"
            raise DataError("two cuts have the same id", file=file, field="id", value=cut.id, do=do)
        seen.add(cut.id)
        require_files(cut, file)
        _require_one_text(cut, file)
        span = span_of(cut)
        if span is not None and heard.setdefault(span, cut.id) != cut.id:
            rule = f"{cut.id}: the same part of the same recording is a cut already"
            do = "leave one of them out: it would count twice"
            raise DataError(rule, file=file, field="recording", value=heard[span], do=do)
        yield cut


Span = tuple[Any, ...]


def span_of(cut: Any) -> Span | None:
    """What of which file a cut holds, and what is done to it; None of a mix, and of audio that is in no file."""
    recording = getattr(cut, "recording", None)
    if recording is None or any(source.type != "file" for source in recording.sources):
        return None
    files = tuple(str(source.source) for source in recording.sources)
    return (
        *files,
        round(cut.start, SPAN_DIGITS),
        round(cut.duration, SPAN_DIGITS),
        str(cut.channel),
        str(recording.transforms),
    )


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


def recorded_file(path: Path) -> str:
    """What a cut remembers of its file."""
    return f"{digest_of(path)} {path.name.casefold()}"


def remembered_of(cut: Any) -> tuple[str, str]:
    """The digest and the name of a cut's file that it remembers, or empty strings."""
    custom = cut.supervisions[0].custom if cut.supervisions else None
    said = custom.get(RECORDED_FILE, "") if isinstance(custom, Mapping) else ""
    digest, _, name = str(said).partition(" ")
    return digest, name


def require_recording(path: str, frames: int, rate: int, cut: Any) -> None:
    """Refuse a file that is not the recording a cut was made of: exchanged, changed, or with a false header.

    Args:
        path: of the cut's file.
        frames, rate: as its header says, samples and Hz.

    Raises:
        DataError: another rate, longer, other bytes than at import, or a header that contradicts the file.
    """
    file = Path(path)
    require_length(file, frames, rate, cut, any_rate=file.suffix.lower() in OTHER_RATES)
    state = file.stat()
    remembered, name = remembered_of(cut)
    if name == file.name.casefold() and _digest(path, state.st_size, state.st_mtime_ns) != remembered:
        raise DataError("the audio is not what was imported", file=path, field=cut.id, do=IMPORT_AGAIN)
    problem = _header(path, state.st_size, state.st_mtime_ns)
    if problem is not None:
        raise DataError(problem, file=path, field=cut.id, do="write it anew, or leave it out")


def require_length(file: Path, frames: int, rate: int, cut: Any, *, any_rate: bool = False) -> None:
    """Refuse audio whose header says another rate than its cut does, or that it lasts longer.

    Args:
        frames, rate: as the header says, samples and Hz.
        any_rate: its format decodes at any.
    """
    said = cut.recording
    if rate != said.sampling_rate and not any_rate:
        value, rule = f"{rate} Hz", f"the audio has another rate than its cut says, {said.sampling_rate} Hz"
        raise DataError(rule, file=file, field=cut.id, value=value, do=IMPORT_AGAIN)
    if frames / rate > said.duration + LONGER_TOLERANCE_S:
        rule = f"the audio is longer than its cut says, whose recording lasts {said.duration:.3f} s"
        raise DataError(rule, file=file, field=cut.id, value=f"{frames / rate:.3f} s", do=IMPORT_AGAIN)


@lru_cache(FILES_REMEMBERED)
def _digest(path: str, size: int, changed_ns: int) -> str:
    return digest_of(Path(path))


@lru_cache(FILES_REMEMBERED)
def _header(path: str, size: int, changed_ns: int) -> str | None:
    return header_problem(Path(path))
