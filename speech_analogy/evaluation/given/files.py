"""Files of hypotheses and references: JSON lines, CSV, TSV, NIST's trn, Kaldi's text, and Lhotse cuts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speech_analogy.corpora.cuts import audio_path, domain_of, prompt_of_cut, speaker_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import DataError
from speech_analogy.evaluation.measures.entities import entities_of
from speech_analogy.evaluation.measures.groups import traits_of
from speech_analogy.evaluation.measures.records import EntitySpan
from speech_analogy.foundation.user_files.plain import TOO_LONG, read_lines
from speech_analogy.foundation.user_files.tables import TABLE_SUFFIXES, BrokenLine, table_rows

IDS = ("id", "utt_id", "utterance_id", "cut_id", "key", "audio_filepath", "file", "file_name", "audio", "path")
HYPOTHESES = ("hypothesis", "pred_text", "prediction", "hyp", "transcript", "transcription")
REFERENCES = ("reference", "ref", "text", "sentence")
DURATIONS = ("duration_s", "duration")
CUTS_SUFFIX, TRN_SUFFIX, KALDI_SUFFIX = ".jsonl.gz", ".trn", ""
_TRN = re.compile(r"(?P<words>.*)\((?P<id>[^()\s]+)\)\s*")
_ALTERNATIVES = re.compile(r"\{[^{}]*/[^{}]*\}")


@dataclass(frozen=True)
class GivenText:
    """One line of such a file.

    Attributes:
        id: None where the file names no utterances: then the place in the file is what texts are matched by.
        hypothesis, reference: None: the line has none.
        text: of a line with one text, which is a hypothesis or a reference by what the file is given as.
    """

    id: str | None
    hypothesis: str | None = None
    reference: str | None = None
    text: str | None = None
    domain: str = ""
    speaker: str = ""
    prompt: str = ""
    audio: str = ""
    duration_s: float = 0.0
    traits: Mapping[str, str] = field(default_factory=dict)
    entities: tuple[EntitySpan, ...] = ()


def read_given(path: Path) -> list[GivenText]:
    """The lines of a file of hypotheses, of references, or of both.

    Raises:
        DataError: the file is missing, of another kind, empty, or a line cannot be used; an id is there twice.
    """
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(CUTS_SUFFIX) else path.suffix.lower()
    if suffix == CUTS_SUFFIX:
        found = _cuts(path)
    elif suffix in TABLE_SUFFIXES:
        found = list(_table(path))
    elif suffix in (TRN_SUFFIX, KALDI_SUFFIX):
        found = list(_lines(path, suffix == TRN_SUFFIX))
    else:
        kinds = ", ".join((*TABLE_SUFFIXES, TRN_SUFFIX, CUTS_SUFFIX))
        raise DataError("neither hypotheses nor references", file=path, value=path.suffix, do=f"give {kinds}")
    if not found:
        raise DataError("has no line", file=path)
    _require_ids(found, path)
    return found


def _require_ids(found: list[GivenText], path: Path) -> None:
    seen: set[str] = set()
    named = sum(one.id is not None for one in found)
    if named not in (0, len(found)):
        raise DataError("some lines have an id and some have none", file=path, value=f"{named} of {len(found)}")
    for one in found:
        if one.id is not None and one.id in seen:
            raise DataError("two lines have the same id", file=path, value=one.id)
        seen.add(one.id or "")


def _cuts(path: Path) -> list[GivenText]:
    return [
        GivenText(
            id=cut.id,
            text=text_of(cut),
            domain=domain_of(cut),
            speaker=speaker_of(cut),
            prompt=prompt_of_cut(cut),
            audio=audio_path(cut),
            duration_s=cut.duration,
            traits=traits_of(cut.custom),
            entities=entities_of(cut.custom),
        )
        for cut in read_cuts(path)
    ]


def _table(path: Path) -> Iterator[GivenText]:
    for row in table_rows(path, missing="there is no such file"):
        if isinstance(row, BrokenLine):
            raise DataError(f"line {row.line}: {row.rule}", file=path)
        number, values = row
        if "supervisions" in values:
            yield from _cuts(path)
            return
        yield _row(path, number, values)


def _row(path: Path, number: int, values: Mapping[str, Any]) -> GivenText:
    hypothesis, reference = _text(path, number, values, HYPOTHESES), _text(path, number, values, REFERENCES)
    if hypothesis is None and reference is None:
        do = f"name the text {', '.join(HYPOTHESES + REFERENCES)}"
        raise DataError(f"line {number} has no text", file=path, do=do)
    identity = next((values[name] for name in IDS if values.get(name) not in (None, "")), None)
    traits = values.get("traits")
    return GivenText(
        id=None if identity is None else str(identity),
        hypothesis=hypothesis,
        reference=None if hypothesis is None else reference,
        text=reference if hypothesis is None else None,
        domain=str(values.get("domain") or ""),
        speaker=str(values.get("speaker") or ""),
        prompt=str(values.get("prompt") or ""),
        audio=str(values.get("audio") or values.get("audio_filepath") or ""),
        duration_s=_seconds(path, number, values),
        traits={str(name): str(group) for name, group in traits.items()}
        if isinstance(traits, dict)
        else traits_of(values),
        entities=entities_of(values),
    )


def _text(path: Path, number: int, values: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that is there; None: there is none. An empty cell of a table is an empty text."""
    name = next((name for name in names if name in values), None)
    value = "" if name is None or values[name] is None else values[name]
    if not isinstance(value, str):
        raise DataError(f"line {number}: a text must be a string", file=path, value=value)
    return None if name is None else value


def _seconds(path: Path, number: int, values: Mapping[str, Any]) -> float:
    value = next((values[name] for name in DURATIONS if values.get(name) is not None), 0.0)
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise DataError(f"line {number}: a duration must be a number of seconds", file=path, value=value)
    return seconds


def _lines(path: Path, trn: bool) -> Iterator[GivenText]:
    for number, line in read_lines(path, missing="there is no such file"):
        if line is None:
            raise DataError(f"line {number}: {TOO_LONG}", file=path)
        if not line.strip() or (trn and line.startswith(";;")):
            continue
        if not trn:  # Kaldi's: the id, then the words
            identity, _, words = line.strip().partition(" ")
            yield GivenText(identity, text=words.strip())
            continue
        found = _TRN.fullmatch(line.strip())
        if found is None:
            raise DataError(f"line {number} must end with the utterance's id in brackets", file=path)
        if _ALTERNATIVES.search(found["words"]):
            raise DataError(f"line {number} has alternatives {{ a / b }}, which are not read", file=path)
        yield GivenText(found["id"], text=found["words"].strip())
