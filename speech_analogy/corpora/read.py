"""The one door to all readers: name a kind of corpus and a path, get checked cuts."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.corpora.cut_checks import sound_cuts
from speech_analogy.corpora.cut_files import CUTS_SUFFIXES, cuts_in
from speech_analogy.corpora.reading import CorpusReading, NothingUsableError, Reader, ReaderOptions, build_cuts
from speech_analogy.corpora.shar.shards import is_shar, shar_cuts
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.disk.syncing import sync_folders
from speech_analogy.foundation.files import reserved, sweep_all, whole_file
from speech_analogy.foundation.plugins import Plugins

READERS: Plugins[Reader] = Plugins("speech_analogy.corpus_readers", "kind of corpus", field="kind")


def read_corpus(kind: str, path: str | Path, **options: Any) -> CorpusReading:
    """Read a corpus into cuts; what cannot be used is listed in `problems`.

    Each cut is one utterance: one supervision (text, speaker, language) and `custom` with `domain`,
    `kind` ("real"), `prompt` (what groups repetitions of one prompt) and the corpus's own fields.

    Args:
        kind: one of `READERS.names()`.
        path: the corpus: a folder, a manifest, or for `huggingface` a name.
        options: see the reader's options class; every reader takes `language`, `decode`, `progress`.

    Raises:
        ConfigError: an unknown kind or option, or a value an option cannot have.
        DataError: the path is not such a corpus, or nothing usable is in it.
    """
    reader = READERS.load(kind)
    return _read(reader, Path(path), reader.options.parse(options))


def kind_of(path: Path) -> str | None:
    """The reader that recognises what lies at a path; one that is made for such a corpus goes before a general one."""
    readers = {name: READERS.load(name) for name in READERS.names()}
    for name in sorted(readers, key=lambda name: (readers[name].general, name)):
        recognises = readers[name].recognises
        if recognises is not None and recognises(path):
            return name
    return None


def import_corpus(
    kind: str,
    path: str | Path,
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> CorpusReading:
    """Read a corpus and write its cuts to `out` (.jsonl.gz or .jsonl), whole or not at all.

    Problems, if any, go to `NAME.problems.jsonl` beside it. Readers that must decode or unpack audio put it
    into the folder `NAME_audio` beside it, unless the option `decode_to` names another.

    Raises:
        ConfigError: as `read_corpus`; or `out` has another suffix.
        DataError: as `read_corpus`; or `out` exists and `overwrite` is False.
    """
    out = Path(out)
    _check_paths(path, out)
    _check_writable(out, overwrite)
    reader, given = READERS.load(kind), dict(options or {})
    if "decode_to" in reader.options.model_fields:
        given.setdefault("decode_to", out.with_name(f"{_stem(out)}_audio"))
    parsed = reader.options.parse(given)
    unpacked: Path | None = getattr(parsed, "decode_to", None)
    problems = out.with_name(f"{_stem(out)}.problems.jsonl")
    with reserved(out, overwrite=overwrite, folder=False):
        if unpacked is not None:
            sweep_all(unpacked)  # what a killed import was unpacking
        try:
            reading = _read(reader, Path(path), parsed)
        except NothingUsableError as error:
            _write_lines(problems, (asdict(problem) for problem in error.problems))
            do = f"each is listed in {problems}"
            raise NothingUsableError(error.rule, error.problems, file=Path(path), do=do) from None
        if unpacked is not None and unpacked.is_dir():
            sync_folders(unpacked)  # before the cuts say that it is there
        if reading.problems:
            _write_lines(problems, (asdict(problem) for problem in reading.problems))
        else:
            problems.unlink(missing_ok=True)  # of an earlier import that is now replaced
        write_cuts(reading.cuts, out, overwrite=overwrite)
    return reading


def write_cuts(cuts: CutSet, out: Path, *, overwrite: bool = False) -> None:
    """Write cuts as JSONL, atomically; the same cuts give the same bytes (gzip without its time stamp).

    Raises:
        ConfigError: the suffix is neither .jsonl.gz nor .jsonl.
        DataError: `out` exists and `overwrite` is False.
    """
    _check_writable(out, overwrite)
    _write_lines(out, (cut.to_dict() for cut in cuts))


def read_cuts(path: str | Path) -> CutSet:
    """Read cuts from .jsonl.gz or .jsonl, or from a folder of Lhotse Shar, into memory; clips stay in their tars.

    Raises:
        DataError: the file is missing, not a file of cuts, or empty; cuts that cannot be used: see `cut_checks`.
    """
    path = Path(path)
    cuts = list(sound_cuts(shar_cuts(path) if is_shar(path) else cuts_in(path), path))
    if not cuts:
        raise DataError("there is no cut in it", file=path)
    return CutSet.from_cuts(cuts)


def _read(reader: Reader, path: Path, options: ReaderOptions) -> CorpusReading:
    if not path.exists() and not reader.remote:
        raise DataError("there is no such file or folder", file=path)
    return build_cuts(reader.utterances(path, options), options, path)


def _check_paths(path: str | Path, out: Path) -> None:
    """The corpus has a name, and what is written is another file."""
    if not str(path).strip():
        raise DataError("the corpus must have a path", value=str(path), do="name its folder or file; . is this one")
    if out.exists() and Path(path).exists() and out.samefile(path):
        raise DataError("the cuts must not replace the corpus that they are read from", file=out, do="name another")


def _stem(out: Path) -> str:
    return next(out.name.removesuffix(suffix) for suffix in CUTS_SUFFIXES if out.name.endswith(suffix))


def _check_writable(out: Path, overwrite: bool) -> None:
    if not out.name.endswith(CUTS_SUFFIXES):
        raise ConfigError("cuts are written as .jsonl.gz or .jsonl", file=out, value=out.suffix)
    if out.exists() and not overwrite:
        raise DataError("the file exists", file=out, do="name another or allow overwriting")


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with (
        whole_file(path) as temporary,
        temporary.open("wb") as raw,
        _text_stream(raw, compressed=path.suffix == ".gz") as text,
    ):
        text.writelines(json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows)


def _text_stream(raw: io.BufferedWriter, *, compressed: bool) -> io.TextIOWrapper:
    """`raw` as a text stream, through gzip without name and time stamp where asked."""
    stream: Any = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if compressed else raw
    return io.TextIOWrapper(stream, encoding="utf-8")


def _plain(value: Any) -> Any:
    """JSON for what corpora bring along: numpy scalars, paths, dates."""
    return value.item() if hasattr(value, "item") else str(value)
