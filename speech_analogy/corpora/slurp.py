"""SLURP (Bastianelli et al., EMNLP 2020): spoken commands in 18 scenarios, headset and far-field microphones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
from speech_analogy.foundation.user_files.json_text import read_object

REAL_SPLITS = ("train", "devel", "test")
SYNTHETIC_SPLIT = "train_synthetic"
TEXT_FOLDER = Path("dataset") / "slurp"
HEADSET_SUFFIX = "-headset"
METADATA_NAME, NOT_SLURP = "metadata.json", "not SLURP's metadata"
USER = re.compile(r"(?P<gender>[FM])(?P<language>[EO])-\d+")  # FE-488: female, native; MO: male, not native; UNK


class SlurpOptions(ReaderOptions):
    """Options of the SLURP reader."""

    microphone: Literal["headset", "far", "both"] = "both"
    split: Literal["train", "devel", "test", "train_synthetic", "all"] = "all"  # all: without the synthetic one
    audio: Path | None = None  # the folder of .flac files; None: audio/slurp_real of the corpus
    speakers: bool = True  # False: do without metadata.json, every speaker is unknown


@dataclass(frozen=True)
class _Split:
    """One of SLURP's text files, and where its recordings are."""

    name: str
    table: Path
    audio: Path
    synthetic: bool


def utterances(path: Path, options: SlurpOptions) -> Iterator[CorpusUtterance | Problem]:
    """List the recordings of the repository's folder, of a folder of its .jsonl files, or of one such file.

    The domain is `scenario` (the prefix of `intent` differs in some records), the prompt `slurp_id`: the same
    sentence is recorded by several people, each at two microphones.

    Raises:
        DataError: no text file, no audio folder, or no metadata.json although speakers are wanted.
    """
    tables = _tables(path, options.split)
    splits = [_split(table, path, options.audio) for table in tables]
    speakers = _speakers(tables[0].parent / METADATA_NAME) if options.speakers else {}
    return (entry for split in splits for entry in _recordings(split, speakers, options))


def _tables(path: Path, wanted: str) -> list[Path]:
    if path.is_file():
        return [path]
    names = REAL_SPLITS if wanted == "all" else (wanted,)
    for folder in (path / TEXT_FOLDER, path):
        found = [folder / f"{name}.jsonl" for name in names if (folder / f"{name}.jsonl").is_file()]
        if found:
            return found
    rule = f"not SLURP: no {' or '.join(f'{name}.jsonl' for name in names)} in it or in {TEXT_FOLDER}"
    raise DataError(rule, file=path, do="name the root of SLURP's repository")


def _split(table: Path, path: Path, audio: Path | None) -> _Split:
    name = table.stem
    synthetic = name == SYNTHETIC_SPLIT
    folder = "slurp_synth" if synthetic else "slurp_real"
    roots = [table.parents[2] if len(table.parents) > 2 else table.parent, path, table.parent]
    places = [audio] if audio else [root / place / folder for root in roots for place in ("audio", ".")]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        rule = f"the audio folder {audio or folder} is missing"
        raise DataError(rule, file=path, do="run SLURP's scripts/download_audio.sh, or set the option `audio`")
    return _Split(name, table, found, synthetic)


def _speakers(metadata: Path) -> dict[str, str]:
    """Recording's file name -> `usrid`, from the only file that has it."""
    do = "get it from SLURP's repository, or set the option `speakers` to false"
    records = read_object(metadata, missing="the file with SLURP's speakers is missing", do=do, broken=NOT_SLURP)
    try:
        return {
            file: str(recording["usrid"])
            for record in records.values()
            for file, recording in record["recordings"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{NOT_SLURP}: {type(error).__name__} {error}", file=metadata) from None


def _recordings(split: _Split, speakers: dict[str, str], options: SlurpOptions) -> Iterator[CorpusUtterance | Problem]:
    for row in read_rows(split.table):
        if isinstance(row, Problem):
            yield row
            continue
        number, record = row
        missing = [name for name in ("slurp_id", "sentence", "scenario", "recordings") if name not in record]
        if missing:
            yield Problem(f"line {number}", str(split.table), f"the record has no {missing[0]}")
            continue
        recordings, text = record["recordings"], text_in(record["sentence"])
        files = [one.get("file") for one in recordings if isinstance(one, dict)] if isinstance(recordings, list) else []
        if text is None or not files or not all(isinstance(file, str) and file for file in files):
            rule = NOT_A_TEXT if text is None else "recordings must be a list of objects with a file each"
            yield Problem(f"line {number}", str(split.table), rule)
            continue
        for file in files:
            utterance = _utterance(record, text, str(file), split, speakers, options.language)
            if options.microphone in ("both", utterance.custom["microphone"]):
                yield utterance


def _utterance(
    record: dict[str, Any], text: str, file: str, split: _Split, speakers: dict[str, str], language: str
) -> CorpusUtterance:
    # audio-1434542201-headset.flac; some have two dashes, audio--1504194842.flac
    identity = file.rpartition(".")[0] or file
    speaker = "synthetic" if split.synthetic else speakers.get(file, UNKNOWN_SPEAKER)
    user = USER.fullmatch(speaker)
    return CorpusUtterance(
        id=identity,
        audio=split.audio / file,
        text=text,
        speaker=speaker,
        domain=str(record["scenario"]),
        language=language,
        prompt=str(record["slurp_id"]),
        kind="synthetic" if split.synthetic else "real",
        custom={
            "split": split.name,
            "microphone": "headset" if identity.endswith(HEADSET_SUFFIX) else "far",
            "slurp_id": record["slurp_id"],
            "intent": record.get("intent"),
            "gender": user["gender"].lower() if user else None,
            "native": user["language"] == "E" if user else None,
            "entities": _entities(record) or None,
        },
    )


def _entities(record: dict[str, Any]) -> list[dict[str, str]]:
    """Type and words of each entity; one whose `span` does not name tokens of the record is left out."""
    listed, tokens = record.get("entities"), record.get("tokens")
    words = (
        [one.get("surface") if isinstance(one, dict) else None for one in tokens] if isinstance(tokens, list) else []
    )
    found = []
    for one in listed if isinstance(listed, list) else ():
        span, kind = (one.get("span"), one.get("type")) if isinstance(one, dict) else (None, None)
        places = span if isinstance(span, list) and all(type(at) is int and 0 <= at < len(words) for at in span) else []
        said = [words[at] for at in places]
        if isinstance(kind, str) and kind and said and all(isinstance(word, str) for word in said):
            text = " ".join(map(str, said)).replace(" '", "'")  # the tokens of tomorrow's are two
            found.append({"type": kind, "text": text})
    return found


def recognises(path: Path) -> bool:
    """The root of SLURP's repository."""
    return (path / TEXT_FOLDER).is_dir()


READER = Reader(SlurpOptions, utterances, recognises=recognises)
