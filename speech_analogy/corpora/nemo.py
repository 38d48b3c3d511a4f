"""NeMo manifests: one JSON object per line with audio_filepath, text, duration and perhaps offset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speech_analogy.corpora.reading import (
    NOT_A_TEXT,
    UNKNOWN_SPEAKER,
    CorpusUtterance,
    Problem,
    Reader,
    ReaderOptions,
    read_rows,
    text_in,
)
from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.plain import is_file

MANIFEST_SUFFIXES = (".json", ".jsonl")
AUDIO_FIELD = "audio_filepath"
USED_FIELDS = (AUDIO_FIELD, "text", "duration", "offset", "speaker", "domain", "lang", "id", "prompt")


class NemoOptions(ReaderOptions):
    """Options of the NeMo reader."""

    domain: str | None = None  # for utterances that do not bring their own; None: the manifest's name
    speaker: str = UNKNOWN_SPEAKER  # likewise


def utterances(path: Path, options: NemoOptions) -> Iterator[CorpusUtterance | Problem]:
    """List the utterances of a manifest; relative audio paths are relative to it.

    With `offset`, `duration` is the length of the utterance; without, the utterance is the whole file.

    Raises:
        DataError: not a manifest's file name.
    """
    if path.suffix not in MANIFEST_SUFFIXES or not is_file(path):
        raise DataError(f"not a manifest ({' or '.join(MANIFEST_SUFFIXES)} file)", file=path)
    taken: dict[str, int] = {}
    for row in read_rows(path):
        if isinstance(row, Problem):
            yield row
        elif row[1].get(AUDIO_FIELD) is None:
            yield Problem(f"line {row[0]}", str(path), f"no {AUDIO_FIELD}")
        else:
            yield _utterance(row[0], row[1], path, options, taken)


def _utterance(
    number: int, values: dict[str, Any], manifest: Path, options: NemoOptions, taken: dict[str, int]
) -> CorpusUtterance | Problem:
    audio = manifest.parent / str(values[AUDIO_FIELD])
    identity = str(values.get("id") or _identity(audio, manifest, values.get("offset"), taken))
    try:
        offset = float(values.get("offset") or 0.0)
        given = values.get("duration")  # without it the rest of the file, but a segment must have one
        duration = None if given is None and values.get("offset") is None else float(values["duration"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return Problem(identity, str(manifest), f"line {number}: offset or duration is not a number")
    text, prompt = text_in(values.get("text")), values.get("prompt")
    if text is None:
        return Problem(identity, str(manifest), f"line {number}: {NOT_A_TEXT}")
    return CorpusUtterance(
        id=identity,
        audio=audio,
        text=text,
        speaker=str(values.get("speaker") or options.speaker),
        domain=str(values.get("domain") or options.domain or manifest.stem),
        language=str(values.get("lang") or options.language),
        prompt=None if prompt is None else str(prompt),
        start_s=offset,
        duration_s=duration,
        custom={name: value for name, value in values.items() if name not in USED_FIELDS},
    )


def _identity(audio: Path, manifest: Path, offset: object, taken: dict[str, int]) -> str:
    """The audio's path below the manifest as one word; segments of one file are numbered in their order."""
    inside = audio.is_relative_to(manifest.parent)
    relative = audio.relative_to(manifest.parent) if inside else Path(*audio.parts[-2:])
    name = "-".join(part for part in relative.with_suffix("").parts if part not in ("/", ".."))
    if offset is None:
        return name
    taken[name] = taken.get(name, -1) + 1
    return f"{name}-{taken[name]}"


def recognises(path: Path) -> bool:
    """A file whose first object names its audio as NeMo does."""
    if path.suffix not in MANIFEST_SUFFIXES or not is_file(path):
        return False
    first = next(iter(read_rows(path)), None)
    return isinstance(first, tuple) and AUDIO_FIELD in first[1]


READER = Reader(NemoOptions, utterances, recognises=recognises)
