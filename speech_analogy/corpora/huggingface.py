"""A Hugging Face `datasets` corpus: a name on the hub, a folder of parquet or audio, or one saved to disk."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from speech_analogy.corpora.folder import LANGUAGE_COLUMNS, SPEAKER_COLUMNS, TEXT_COLUMNS
from speech_analogy.corpora.reading import (
    MISSING_AUDIO,
    NOT_A_TEXT,
    CorpusUtterance,
    Problem,
    Reader,
    ReaderOptions,
    speaker_name,
    text_in,
)
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.user_files.file_names import DIGEST_DIGITS, file_stem, sameness

SAVED_MARKERS = ("dataset_dict.json", "state.json")  # written by `save_to_disk`
HUB = "https://huggingface.co"
HTTPS_PORT = 443
DATASET_HUB_TIMEOUT_S = 5.0
FOLDER_ADVICE = "a plain folder of audio files is read by the kind `folder`"
SUFFIX_OF_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3"}


class HuggingFaceOptions(ReaderOptions):
    """Options of the reader of `datasets`."""

    name: str | None = None  # the dataset's configuration
    revision: str | None = None
    split: str | None = None  # None: all
    audio_column: str = "audio"
    text_column: str | None = None  # None: the first of text, transcription, sentence, transcript
    domain_column: str = "domain"
    speaker_column: str | None = None  # None: the first of speaker, speaker_id, client_id
    domain: str | None = None  # for rows without a domain; None: the dataset's name
    decode_to: Path | None = None  # where audio that lies inside parquet is unpacked


def utterances(path: Path, options: HuggingFaceOptions) -> Iterator[CorpusUtterance | Problem]:
    """List the rows of a dataset.

    Raises:
        DataError: the package `datasets` is missing, or it cannot load the dataset.
        ConfigError: a column is not there, or audio must be unpacked and `decode_to` is not given.
    """
    taken = _Taken()
    for split, rows in _load(path, options).items():
        columns = list(rows.column_names)
        names = {
            "audio": _column(columns, options.audio_column, (options.audio_column,), "audio_column"),
            "text": _column(columns, options.text_column, TEXT_COLUMNS, "text_column"),
        }
        optional = {
            "speaker": (options.speaker_column,) if options.speaker_column else SPEAKER_COLUMNS,
            "domain": (options.domain_column,),
            "language": LANGUAGE_COLUMNS,
            "id": ("id",),
        }
        for role, usual in optional.items():
            if found := next((name for name in usual if name in columns), None):
                names[role] = found
        for number, row in enumerate(_undecoded(rows, names["audio"])):
            yield _utterance(row, names, f"{split}-{number:06d}", split, path, options, taken)


class _Taken:
    """Identities and names of files that are taken, so that no row's audio comes under another row's text."""

    def __init__(self) -> None:
        self._identities: set[str] = set()
        self._files: set[str] = set()

    def identity(self, wanted: str, split: str) -> str:
        """The one that the row has, with its split where an earlier row has it, and a number where that is taken."""
        names = chain((wanted, f"{split}/{wanted}"), (f"{split}/{wanted}-{number}" for number in count(2)))
        found = next(name for name in names if name not in self._identities)
        self._identities.add(found)
        return found

    def stem(self, identity: str) -> str:
        """Of the file for an identity; what differs only by `/`, `-` or case has a digest behind it."""
        stem = file_stem(identity.replace("/", "-"))
        if sameness(stem) in self._files:
            digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
            stem = f"{stem}-{digest[:DIGEST_DIGITS]}"
        self._files.add(sameness(stem))
        return stem


def _load(path: Path, options: HuggingFaceOptions) -> Mapping[str, Any]:
    """Split name -> dataset."""
    try:
        datasets = import_module("datasets")
    except ImportError:
        raise DataError("the package `datasets` is not installed", do="pip install datasets") from None
    if not path.exists():
        _require_hub(path)
    try:
        if any((path / marker).is_file() for marker in SAVED_MARKERS):
            loaded = datasets.load_from_disk(os.fspath(path))
        else:
            loaded = datasets.load_dataset(path.as_posix(), options.name, revision=options.revision)
    except Exception as error:  # `datasets` raises whatever its builders and the hub's client raise
        raise DataError(f"`datasets` cannot load it: {_root_cause(error)}", file=path, do=FOLDER_ADVICE) from None
    splits = dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or "all"): loaded}
    if options.split is None:
        return splits
    if options.split not in splits:
        raise ConfigError("the dataset has no such split", file=path, field="split", value=options.split,
                          do=f"splits are: {', '.join(splits)}")  # fmt: skip
    return {options.split: splits[options.split]}


def _require_hub(path: Path) -> None:
    """Refuse a name at once where no hub answers; `datasets` itself would try for a minute.

    Skipped in offline mode (the cache may have the dataset) and behind a proxy.
    """
    if {"HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"} & os.environ.keys() or getproxies().get("https"):
        return
    hub = urlsplit(os.environ.get("HF_ENDPOINT", HUB))
    try:
        socket.create_connection((hub.hostname, hub.port or HTTPS_PORT), DATASET_HUB_TIMEOUT_S).close()
    except OSError:
        rule = f"no such folder, and no hub answers at {hub.hostname}"
        raise DataError(rule, file=path, do="for a cached dataset set HF_HUB_OFFLINE=1") from None


def _root_cause(error: BaseException) -> str:
    """The first line of what went wrong first; `datasets` wraps it in general phrases."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _undecoded(rows: Any, audio_column: str) -> Any:
    """The rows with audio as {bytes, path}, so that nothing is decoded here."""
    audio = import_module("datasets").Audio(decode=False)
    return rows.cast_column(audio_column, audio)


def _utterance(
    row: dict[str, Any],
    names: dict[str, str],
    identity: str,
    split: str,
    path: Path,
    options: HuggingFaceOptions,
    taken: _Taken,
) -> CorpusUtterance | Problem:
    given = text_in(row.get(names.get("id", "")))
    identity = taken.identity(given or identity, split)
    audio = _audio_file(row[names["audio"]], taken.stem(identity), path, options)
    if audio is None:
        return Problem(identity, os.fspath(path), MISSING_AUDIO)
    text = text_in(row[names["text"]])
    if text is None:
        return Problem(identity, os.fspath(path), NOT_A_TEXT)
    used = set(names.values())
    extra = {
        name: value for name, value in row.items() if name not in used and isinstance(value, str | int | float | bool)
    }
    return CorpusUtterance(
        id=identity,
        audio=audio,
        text=text,
        speaker=speaker_name(row.get(names.get("speaker", ""))),
        domain=str(row.get(names.get("domain", "")) or options.domain or path.name),
        language=str(row.get(names.get("language", "")) or options.language),
        custom={"split": split} | extra,
    )


def _audio_file(value: Any, stem: str, path: Path, options: HuggingFaceOptions) -> Path | None:
    """The file behind an audio value; bytes are written below `decode_to`."""
    content = value["bytes"] if isinstance(value, dict) else None
    name = value["path"] if isinstance(value, dict) else value
    if content is None:
        return Path(name) if name else None
    if options.decode_to is None:
        raise ConfigError("the audio lies inside the dataset's tables and must be unpacked", file=path,
                          field="decode_to", do="name a folder for it")  # fmt: skip
    known = (suffix for magic, suffix in SUFFIX_OF_MAGIC.items() if content.startswith(magic))
    suffix = Path(name).suffix if name else next(known, ".audio")
    out = options.decode_to / f"{stem}{suffix}"
    with whole_file(out, one_of_many=True) as temporary:
        temporary.write_bytes(content)
    return out


def _column(columns: list[str], named: str | None, usual: tuple[str, ...], option: str) -> str:
    found = next((name for name in ((named,) if named else usual) if name in columns), None)
    if found is None:
        wanted = named or " or ".join(usual)
        raise ConfigError(f"the dataset has no column {wanted}", field=option,
                          do=f"columns are: {', '.join(columns)}")  # fmt: skip
    return found


def recognises(path: Path) -> bool:
    """A folder that `datasets` has saved."""
    return any((path / marker).is_file() for marker in SAVED_MARKERS)


READER = Reader(HuggingFaceOptions, utterances, remote=True, recognises=recognises)
