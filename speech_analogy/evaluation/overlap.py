"""A test must be new to the models: which of its recordings and speakers were in training, which texts TTS spoke."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from lhotse import CutSet

from speech_analogy.corpora.cuts import speaker_of
from speech_analogy.corpora.seen import SeenSpeech, recording_hashes
from speech_analogy.corpora.splits import file_digests
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Hypothesis, Overlap, SpokenTexts, System
from speech_analogy.foundation.hash_sets import short_hash

Allowed = Literal["speakers", "recordings"]
"""What of a test may have been in training; recordings: speakers too."""


def overlap_of(cuts: CutSet, seen: SeenSpeech, files: dict[str, str] | None = None) -> Overlap:
    """How much of a test was in training.

    Args:
        files: path -> sha256 of its bytes, where these are known; None: they are read.
    """
    digests = file_digests(cuts) if files is None else files
    known = [cut for cut in cuts if not seen.recordings.isdisjoint(recording_hashes(cut, digests))]
    speakers = {speaker for cut in cuts if _is_seen(speaker := speaker_of(cut), seen)}
    met = {cut.id for cut in known} | {cut.id for cut in cuts if speaker_of(cut) in speakers}
    return Overlap(recordings=len(known), speakers=len(speakers), utterances=len(met))


def require_new(cuts: CutSet, found: Overlap, allowed: Allowed | None, do: str) -> None:
    """Refuse a test of which recordings or speakers were in training.

    Args:
        allowed: what may have been.
        do: what the user can say to have it done nevertheless.

    Raises:
        DataError: naming how many.
    """
    if found.recordings and allowed != "recordings":
        rule, value = "recordings of the test were in training", f"{found.recordings} of {len(cuts)}"
    elif found.speakers and allowed is None:
        speakers = {speaker_of(cut) for cut in cuts} - {""}
        rule, value = "speakers of the test were in training", f"{found.speakers} of {len(speakers)}"
    else:
        return
    raise DataError(rule, field="test", value=value, do=f"take others, or {do}, which every table will say")


def spoken_texts(rows: Sequence[Hypothesis], spoken: Collection[str]) -> SpokenTexts:
    """How many of a test's texts TTS has spoken for training; `spoken` holds hashes of texts as they are scored."""
    texts = {row.reference_normalised for row in rows}
    return SpokenTexts(
        texts=len(texts),
        spoken=sum(_is_spoken(text, spoken) for text in texts),
        utterances=sum(_is_spoken(row.reference_normalised, spoken) for row in rows),
    )


def by_spoken(system: System, rows: Sequence[Hypothesis], spoken: Collection[str]) -> System:
    """The system with its WER on the texts that TTS has spoken, and on the others."""
    parts: dict[bool, list[Hypothesis]] = {True: [], False: []}
    for row in rows:
        parts[_is_spoken(row.reference_normalised, spoken)].append(row)
    return system.model_copy(update={"wer_spoken": _wer(parts[True]), "wer_unspoken": _wer(parts[False])})


def _is_seen(speaker: str, seen: SeenSpeech) -> bool:
    return bool(speaker) and short_hash(speaker) in seen.speakers


def _is_spoken(text: str, spoken: Collection[str]) -> bool:
    return short_hash(text) in spoken


def _wer(rows: Sequence[Hypothesis]) -> float | None:
    words = sum(row.words for row in rows)
    wrong = sum(row.substitutions + row.deletions + row.insertions for row in rows)
    return 100.0 * wrong / words if words else None
