"""Transcribing and scoring cuts, end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
from lhotse import CutSet
from lhotse.utils import fastcopy

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import text_of
from speech_analogy.errors import CheckpointError, DataError
from speech_analogy.evaluation.evaluate import compare_hypotheses, evaluate, pooled, score
from speech_analogy.evaluation.results import Results, read_hypotheses, write_hypotheses
from speech_analogy.evaluation.transcribe import (
    BATCH_SECONDS,
    BATCH_SECONDS_GPU,
    UTTERANCES_AT_LEAST,
    Transcript,
    Transcription,
    batch_seconds,
    batches,
    transcribe,
    transcribe_arrays,
)
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.whisper.model import WhisperRecogniser

TRIMMED = DecodingOptions(window="trimmed")


def _heard(cuts: CutSet, texts: list[str]) -> Transcription:
    rows = [Transcript(cut.id, text, cut.duration) for cut, text in zip(cuts, texts, strict=True)]
    return Transcription(rows, "trimmed", 1.0)


def test_perfect_transcripts_have_no_errors(noises: CutSet) -> None:
    found = score(noises, _heard(noises, [text_of(cut).upper() + "!" for cut in noises]))
    assert (found.system.wer, found.system.cer, found.system.ci95) == (0.0, 0.0, (0.0, 0.0))
    assert found.system.raw_wer > 0  # capitals and marks count where nothing is normalised


def test_loops_are_counted_as_utterances_over_100(noises: CutSet) -> None:
    texts = [text_of(cut) for cut in noises]
    texts[3] = " ".join([texts[3]] * 4)
    found = score(noises, _heard(noises, texts))
    words = found.hypotheses[3].words
    assert found.system.over_100 == 1
    assert found.system.insertions == 3 * words == found.hypotheses[3].insertions


def test_what_fell_back_and_what_was_silent_are_counted(noises: CutSet) -> None:
    """And the WER of one pass, which is that of what it wrote."""
    heard = _heard(noises, [text_of(cut) for cut in noises])
    rows = list(heard.transcripts)
    loop = " ".join([rows[3].text] * 4)
    rows[3] = replace(rows[3], one_pass=loop)
    rows[5] = replace(rows[5], text="", one_pass="thank you", silent=True)
    found = score(noises, replace(heard, transcripts=rows))
    system = found.system
    assert (system.fell_back, system.silent, system.silent_words) == (1, 1, 2)
    before = score(noises, _heard(noises, [row.text if row.one_pass is None else row.one_pass for row in rows]))
    assert system.one_pass_wer == before.system.wer > system.wer
    assert [(row.one_pass, row.silent) for row in (found.hypotheses[3], found.hypotheses[5])] == [
        (loop, False),
        ("thank you", True),
    ]
    both = pooled([system, before.system], [found.hypotheses, before.hypotheses])
    assert both.fell_back == 1
    assert both.one_pass_wer == pytest.approx(before.system.wer)
    assert "fell_back" not in before.system.model_dump()  # as in results made before there was a fallback


def test_references_that_normalise_to_nothing_are_dropped(noises: CutSet) -> None:
    changed = list(noises)
    changed[0] = changed[0].map_supervisions(lambda supervision: fastcopy(supervision, text="(laughs)"))
    cuts = CutSet.from_cuts(changed)
    found = score(cuts, _heard(cuts, ["x"] * len(changed)))
    assert found.dropped_empty_references == 1
    assert found.system.utterances == len(changed) - 1


def test_equal_windows_share_a_batch(noises: CutSet) -> None:
    durations = [cut.duration for cut in noises]
    found = batches(durations, "trimmed")
    assert sorted(row for batch in found for row in batch.rows) == list(range(len(durations)))
    for batch in found:
        assert all(durations[row] < batch.window_s for row in batch.rows)
        assert batch.window_s * len(batch.rows) <= BATCH_SECONDS or len(batch.rows) <= UTTERANCES_AT_LEAST


@pytest.mark.parametrize(
    ("seconds_each", "window", "together_s", "expected"),
    [
        (2.0, "trimmed", 60.0, [24, 24, 24, 24, 4]),  # windows of 2.5 s
        (2.0, "trimmed", 240.0, [96, 4]),
        (14.0, "trimmed", 60.0, [8] * 12 + [4]),  # of 14.5 s: four would fit
        (2.0, "full", 60.0, [8] * 12 + [4]),
    ],
)
def test_a_batch_is_so_many_seconds_and_eight_utterances_at_least(
    seconds_each: float, window: Literal["trimmed", "full"], together_s: float, expected: list[int]
) -> None:
    found = batches([seconds_each] * 100, window, seconds=together_s)
    assert [len(batch.rows) for batch in found] == expected


@pytest.mark.parametrize(("device", "expected"), [("cpu", BATCH_SECONDS), ("cuda:1", BATCH_SECONDS_GPU)])
def test_a_gpu_decodes_more_together(device: str, expected: float) -> None:
    assert batch_seconds(SimpleNamespace(device=device)) == expected  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def transcribed(noises: CutSet, small_whisper: Path) -> Transcription:
    """All noises in trimmed windows, by torch."""
    return transcribe(noises, small_whisper, decoding=TRIMMED, progress=False)


def test_transcripts_keep_the_order_of_the_cuts(
    noises: CutSet, small_whisper: Path, transcribed: Transcription
) -> None:
    found = transcribed
    assert [row.id for row in found.transcripts] == [cut.id for cut in noises]
    backwards = transcribe(CutSet.from_cuts(reversed(list(noises))), small_whisper, decoding=TRIMMED, progress=False)
    assert {row.id: row.text for row in found.transcripts} == {row.id: row.text for row in backwards.transcripts}


def test_shards_are_scored_as_files_are(
    noises: CutSet, small_whisper: Path, transcribed: Transcription, tmp_path: Path
) -> None:
    """The same speech packed into Lhotse Shar: the same hypotheses, the same errors."""
    shar = tmp_path / "shar"
    shar.mkdir()
    noises.to_shar(shar, fields={"recording": "flac"}, shard_size=7)
    packed, loose = evaluate(shar, small_whisper, decoding=TRIMMED, progress=False), score(noises, transcribed)
    assert [row.model_copy(update={"audio": ""}) for row in loose.hypotheses] == packed.hypotheses
    assert packed.system.model_copy(update={"seconds": loose.system.seconds}) == loose.system


def test_arrays_keep_their_order(noises: CutSet, small_whisper: Path, transcribed: Transcription) -> None:
    waves = [load_audio(cut) for cut in noises]
    texts = transcribe_arrays(waves, WhisperRecogniser(small_whisper), window="trimmed")
    assert texts == [row.text for row in transcribed.transcripts]
    assert len(set(texts)) > 1


def test_backend_is_on_record(
    noises: CutSet,
    small_whisper: Path,
    transcribed: Transcription,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """CTranslate2 in float32 transcribes as torch does, and the results record which it was."""
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    ours = score(noises, transcribed)
    quick = DecodingOptions(window="trimmed", backend="ctranslate2", compute="float32")
    theirs = evaluate(noises, small_whisper, decoding=quick, progress=False)
    assert (ours.system.backend, theirs.system.backend) == ("torch", "ctranslate2-float32")
    assert [row.hypothesis for row in theirs.hypotheses] == [row.hypothesis for row in ours.hypotheses]


def test_window_follows_the_checkpoint(noises: CutSet, small_whisper: Path) -> None:
    few = CutSet.from_cuts(list(noises)[:2])
    assert transcribe(few, small_whisper, progress=False).window == "full"
    assert evaluate(few, small_whisper, decoding=TRIMMED, progress=False).system.window == "trimmed"


def test_comparison_needs_the_same_utterances(noises: CutSet) -> None:
    whole = score(noises, _heard(noises, [text_of(cut) for cut in noises])).hypotheses
    with pytest.raises(DataError, match="same utterances"):
        compare_hypotheses(whole, whole[1:], ("a", "b"))


def test_hypotheses_survive_the_disk(noises: CutSet, tmp_path: Path) -> None:
    rows = score(noises, _heard(noises, [text_of(cut) for cut in noises])).hypotheses
    write_hypotheses(rows, tmp_path / "x.jsonl")
    assert read_hypotheses(tmp_path / "x.jsonl") == rows
    (tmp_path / "x.jsonl").write_text('{"id": 3}\n')
    with pytest.raises(DataError, match=r"x\.jsonl.*line 1"):
        read_hypotheses(tmp_path / "x.jsonl")


def test_broken_results_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(DataError, match="not a results file"):
        Results.read(tmp_path / "results.json")


def test_missing_model_and_missing_audio(noises: CutSet, tmp_path: Path, small_whisper: Path) -> None:
    with pytest.raises(CheckpointError):
        transcribe(noises, tmp_path / "nowhere.pt", progress=False)
    with pytest.raises(DataError, match="no such file"):
        transcribe(tmp_path / "nowhere.wav", small_whisper, progress=False)
    with pytest.raises(DataError, match="no audio"):
        transcribe(tmp_path, small_whisper, progress=False)


def test_runs_of_several_seeds_are_pooled(noises: CutSet) -> None:
    """Rates are the runs' means; the clusters stay, so that more seeds of the same speech pretend no more certainty."""
    right = [text_of(cut) for cut in noises]
    one = score(noises, _heard(noises, [*right[:-2], "x", "y z"]))
    other = score(noises, _heard(noises, ["x", *right[1:]]))
    assert pooled([one.system], [one.hypotheses]) == one.system
    both = pooled([one.system, other.system], [one.hypotheses, other.hypotheses])
    for rate in ("wer", "cer", "raw_wer"):
        assert getattr(both, rate) == pytest.approx((getattr(one.system, rate) + getattr(other.system, rate)) / 2)
    assert both.wer_of_seeds == [one.system.wer, other.system.wer]
    assert both.words == 2 * one.system.words
    twice = pooled([one.system, one.system], [one.hypotheses, one.hypotheses])
    assert twice.ci95 == pytest.approx(one.system.ci95)
    with pytest.raises(DataError, match="same utterances"):
        pooled([one.system, other.system], [one.hypotheses, other.hypotheses[1:]])
