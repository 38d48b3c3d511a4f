"""A system's transcripts in the forms that other tools read: NeMo's manifest, trn, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Hypothesis

HypothesesForm = Literal["nemo", "trn", "csv"]
UNFIT = re.compile(r"[()\s]")
COLUMNS = ("id", "domain", "speaker", "audio", "duration_s", "reference", "hypothesis", "errors", "words")


def written(rows: Sequence[Hypothesis], form: HypothesesForm, run: Path, *, references: bool = False) -> str:
    """Transcripts as text, with a final newline.

    nemo: an object a line with `audio_filepath`, `duration`, `text`, `pred_text`, as NeMo's explorer and the Open ASR
    Leaderboard read them. trn: `words (id)`, as sclite and asr_evaluation read them. csv: a row an utterance, with its
    errors and words after normalisation.

    Args:
        rows: raw texts are written, not normalised ones.
        run: the folder from which recordings are named that lie in it.
        references: trn alone: the references in place of the transcripts.

    Raises:
        DataError: an id that trn cannot hold.
    """
    return FORMS[form](rows, run, references)


def _nemo(rows: Sequence[Hypothesis], run: Path, references: bool) -> str:
    del references  # both stand in every line
    lines = (
        {
            "audio_filepath": str(run / row.audio),
            "duration": row.duration_s,
            "text": row.reference,
            "pred_text": row.hypothesis,
        }
        for row in rows
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _trn(rows: Sequence[Hypothesis], run: Path, references: bool) -> str:
    del run  # trn names no recordings
    wrong = next((row.id for row in rows if UNFIT.search(row.id)), None)
    if wrong is not None:
        raise DataError("an id with spaces or parentheses has no place in trn", value=wrong, do="use nemo or csv")
    said = ((row.reference if references else row.hypothesis, row.id) for row in rows)
    return "".join(f"{' '.join(text.split())} ({name})\n".lstrip() for text, name in said)


def _csv(rows: Sequence[Hypothesis], run: Path, references: bool) -> str:
    del references  # both stand in every row
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        errors = row.substitutions + row.deletions + row.insertions
        about = (row.id, row.domain, row.speaker, run / row.audio, row.duration_s)
        writer.writerow([*about, row.reference, row.hypothesis, errors, row.words])
    return text.getvalue()


FORMS: dict[HypothesesForm, Callable[[Sequence[Hypothesis], Path, bool], str]] = {
    "nemo": _nemo,
    "trn": _trn,
    "csv": _csv,
}
