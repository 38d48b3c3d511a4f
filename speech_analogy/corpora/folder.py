"""A folder of audio files: texts beside them in .txt, or in metadata.csv / metadata.jsonl as in HF audiofolder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_synth.audio.ffmpeg import FFMPEG_SUFFIXES
from speech_analogy.corpora.reading import (
    LONGEST_SHOWN_PATH,
    MISSING_AUDIO,
    UNKNOWN_SPEAKER,
    CorpusUtterance,
    Note,
    Problem,
    Reader,
    ReaderOptions,
    read_rows,
    text_in,
)
from speech_analogy.errors import DataError, shortened
from speech_analogy.foundation.user_files.plain import is_file, read_text
from speech_analogy.foundation.user_files.tables import TABLE_SUFFIXES, header_of

FOLDER_AUDIO_SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".aiff", ".aif", *FFMPEG_SUFFIXES)
METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.tsv")
FILE_COLUMNS = ("file_name", "audio", "path", "filename", "file", "wav")
TEXT_COLUMNS = ("text", "transcription", "sentence", "transcript")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")
LANGUAGE_COLUMNS = ("language", "lang", "locale")
MOST_TABLES_NAMED = 3
NOT_CUSTOM = ("id", "domain", "prompt", "duration")  # kept elsewhere; the duration is the audio's own
NO_TEXT_FILE = "there is no .txt of the same name beside the audio"


class FolderOptions(ReaderOptions):
    """Options of the folder reader."""

    text_column: str | None = None  # None: the first of TEXT_COLUMNS that is there
    file_column: str | None = None  # None: the first of FILE_COLUMNS that is there
    domain: str | None = None  # for utterances that do not bring their own
    speaker: str = UNKNOWN_SPEAKER  # likewise


def utterances(path: Path, options: FolderOptions) -> Iterator[CorpusUtterance | Problem | Note]:
    """List the utterances of a folder, or of one metadata file.

    Raises:
        DataError: the path is neither, or the folder holds no audio.
    """
    if path.is_file():
        tables = [path]
    elif path.is_dir():
        tables = sorted(table for name in METADATA_NAMES for table in path.rglob(name))
    else:
        raise DataError("there is no such folder or metadata file", file=path)
    root = path.parent if path.is_file() else path
    if tables:
        listed: set[Path] = set()
        for table in tables:
            for entry in _from_table(table, root, options):
                if isinstance(entry, CorpusUtterance):
                    listed.add(entry.audio)
                yield entry
        yield from _notes(path, tables, listed)
    else:
        yield from _from_text_files(root, options)


def _notes(path: Path, tables: list[Path], listed: set[Path]) -> Iterator[Note]:
    """The columns of the tables, and how much audio of a folder is in none of them."""
    for table in tables[:MOST_TABLES_NAMED]:
        names = header_of(table)
        yield Note(f"columns of {table.name}: {shortened(', '.join(names) or 'none', LONGEST_SHOWN_PATH)}")
    if not path.is_dir():
        return
    there = {os.path.normpath(file) for file in path.rglob("*") if file.suffix.lower() in FOLDER_AUDIO_SUFFIXES}
    left = len(there - {os.path.normpath(file) for file in listed})
    if left:
        yield Note(f"audio files that no table lists: {left}")


def _from_table(table: Path, root: Path, options: FolderOptions) -> Iterator[CorpusUtterance | Problem]:
    """Utterances of one metadata file, whose file names are relative to itself."""
    for row in read_rows(table):
        if isinstance(row, Problem):
            yield row
            continue
        number, values = row
        file_column = _column(values, options.file_column, FILE_COLUMNS)
        text_column = _column(values, options.text_column, TEXT_COLUMNS)
        if file_column is None or values[file_column] is None:
            name = options.file_column or " or ".join(FILE_COLUMNS)
            yield Problem(f"line {number}", str(table), f"no audio file named (column {name})")
        elif text_column is None:
            name = options.text_column or " or ".join(TEXT_COLUMNS)
            yield Problem(f"line {number}", str(table), f"no text (column {name})")
        elif text_in(values[text_column]) is None or not isinstance(values[file_column], str):
            yield Problem(f"line {number}", str(table), f"{text_column} and {file_column} must be strings")
        else:
            yield _utterance(values, table, root, options, file_column, text_column)


def _utterance(
    values: dict[str, Any], table: Path, root: Path, options: FolderOptions, file_column: str, text_column: str
) -> CorpusUtterance:
    audio = table.parent / str(values[file_column])
    speaker_column = _column(values, None, SPEAKER_COLUMNS)
    language_column = _column(values, None, LANGUAGE_COLUMNS)
    used = {file_column, text_column, speaker_column, language_column, *NOT_CUSTOM}
    folder = table.parent if table.parent != root else None  # audiofolder: one folder a split
    custom = {"split": folder.name} if folder is not None else {}
    prompt = values.get("prompt")
    return CorpusUtterance(
        id=identity_of(audio, root) if values.get("id") in (None, "") else str(values["id"]),
        audio=audio,
        text="" if values[text_column] is None else str(values[text_column]),
        speaker=str(values[speaker_column]) if speaker_column and values[speaker_column] else options.speaker,
        domain=str(values.get("domain") or options.domain or root.resolve().name),
        language=str(values[language_column]) if language_column and values[language_column] else options.language,
        prompt=None if prompt is None else str(prompt),
        custom=custom | {name: value for name, value in values.items() if name not in used},
    )


def _from_text_files(root: Path, options: FolderOptions) -> Iterator[CorpusUtterance | Problem]:
    """Audio files with a .txt of the same name beside each; the first sub-folder is the domain."""
    audio = sorted(file for file in root.rglob("*") if file.suffix.lower() in FOLDER_AUDIO_SUFFIXES)
    if not audio:
        raise DataError(f"no audio ({', '.join(FOLDER_AUDIO_SUFFIXES)}) and no metadata file in it", file=root)
    for file in audio:
        identity, text = identity_of(file, root), file.with_suffix(".txt")
        if not is_file(text):
            yield Problem(identity, str(file), NO_TEXT_FILE)
            continue
        try:
            spoken = read_text(text).strip()
        except DataError as error:
            yield Problem(identity, str(text), f"the text file: {error.rule}")
            continue
        parts = file.relative_to(root).parts
        domain = options.domain or (parts[0] if len(parts) > 1 else root.resolve().name)
        yield CorpusUtterance(identity, file, spoken, options.speaker, domain, options.language)
    stems = {file.with_suffix("") for file in audio}
    for text in sorted(root.rglob("*.txt")):
        if text.with_suffix("") not in stems:
            yield Problem(identity_of(text, root), str(text), MISSING_AUDIO)


def identity_of(file: Path, root: Path) -> str:
    """A file's path below `root` without its suffix, as one word: `a/b.wav` -> `a-b`."""
    relative = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    return "-".join(relative.with_suffix("").parts)


def _column(values: dict[str, Any], named: str | None, usual: tuple[str, ...]) -> str | None:
    wanted = (named,) if named else usual
    exact = next((name for name in wanted if name in values), None)
    if exact is not None or named:
        return exact
    folded = {str(name).strip().casefold(): name for name in values}  # `Text`, ` file_name`
    return next((folded[name] for name in wanted if name in folded), None)


def recognises(path: Path) -> bool:
    """A folder with audio in it or a metadata file, or a table."""
    if path.is_file():
        return path.suffix.lower() in TABLE_SUFFIXES
    return any(file.suffix.lower() in FOLDER_AUDIO_SUFFIXES or file.name in METADATA_NAMES for file in path.rglob("*"))


READER = Reader(FolderOptions, utterances, recognises=recognises, general=True)
