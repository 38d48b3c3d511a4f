"""A test that was in training is refused or counted, and WER is given apart for texts that TTS has spoken."""

from __future__ import annotations

import pytest
from lhotse import CutSet
from lhotse.utils import fastcopy

from speech_analogy.corpora.cuts import speaker_of
from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import score
from speech_analogy.evaluation.overlap import by_spoken, overlap_of, require_new, spoken_texts
from speech_analogy.evaluation.results import Overlap
from speech_analogy.evaluation.transcribe import Transcript, Transcription
from speech_analogy.foundation.hash_sets import short_hash


def _of(cuts: CutSet, *speakers: str) -> CutSet:
    return CutSet.from_cuts(cut for cut in cuts if speaker_of(cut) in speakers)


def test_nothing_is_shared_by_other_speakers(noises: CutSet) -> None:
    assert overlap_of(_of(noises, "s0"), SeenSpeech.of(_of(noises, "s1"))) == Overlap(
        recordings=0, speakers=0, utterances=0
    )


def test_speakers_and_recordings_are_counted(noises: CutSet) -> None:
    """24 cuts of six speakers: s0 was heard in one of its four, s1 in all."""
    trained = CutSet.from_cuts([*_of(noises, "s1"), next(iter(_of(noises, "s0")))])
    found = overlap_of(_of(noises, "s0", "s1", "s2"), SeenSpeech.of(trained))
    assert found == Overlap(recordings=5, speakers=2, utterances=8)


def test_only_what_is_allowed_is_done(noises: CutSet) -> None:
    speakers = Overlap(recordings=0, speakers=2, utterances=8)
    recordings = Overlap(recordings=3, speakers=2, utterances=8)
    for found, allowed in ((speakers, "speakers"), (speakers, "recordings"), (recordings, "recordings")):
        require_new(noises, found, allowed, "say so")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"test: speakers of the test were in training .*2 of 6.* say so"):
        require_new(noises, speakers, None, "say so")
    with pytest.raises(DataError, match=r"test: recordings of the test were in training .*3 of 24"):
        require_new(noises, recordings, "speakers", "say so")


def test_spoken_texts_are_compared_as_they_are_scored(noises: CutSet) -> None:
    """Two is 2 to the normaliser: a text spoken in figures counts as spoken."""
    texts = dict(zip([cut.id for cut in noises], ["Two.", "two", "red house"], strict=False))
    cuts = CutSet.from_cuts(
        cut.map_supervisions(lambda said, text=texts[cut.id]: fastcopy(said, text=text)) for cut in list(noises)[:3]
    )
    heard = Transcription([Transcript(cut.id, "two", cut.duration) for cut in cuts], "trimmed", 1.0)
    found = score(cuts, heard)
    spoken = {short_hash("2")}
    counted = spoken_texts(found.hypotheses, spoken)
    assert (counted.texts, counted.spoken, counted.utterances) == (2, 1, 2)
    parted = by_spoken(found.system, found.hypotheses, spoken)
    assert (parted.wer_spoken, parted.wer_unspoken) == (0.0, 100.0)
    closed = by_spoken(found.system, found.hypotheses, {*spoken, short_hash("red house")})
    assert closed.wer_spoken == pytest.approx(found.system.wer)
    assert closed.wer_unspoken is None
