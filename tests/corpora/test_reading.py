"""From utterances to cuts: what is checked, what is listed, what stays in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.corpora.cuts import speaker_of
from speech_analogy.corpora.reading import (
    UNKNOWN_SPEAKER,
    CorpusReading,
    CorpusUtterance,
    Problem,
    ReaderOptions,
    build_cuts,
    normalised,
    prompt_of,
    speaker_name,
)
from speech_analogy.errors import DataError
from tests.corpora.sounds import RATE_HZ, write_silence_of_no_length, write_tone

QUIET = ReaderOptions(progress=False)


def utterance(path: Path, **given: object) -> CorpusUtterance:
    fields: dict[str, object] = {"id": path.stem, "audio": path, "text": "hello", "speaker": "s", "domain": "d"}
    return CorpusUtterance(**(fields | given))  # type: ignore[arg-type]


def read(entries: list[CorpusUtterance | Problem], options: ReaderOptions = QUIET) -> CorpusReading:
    return build_cuts(entries, options, Path("corpus"))


def test_a_cut_is_one_utterance(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav")
    entry = utterance(path, text="Hello, World!", language="fr", custom={"age": 6, "gender": None})
    (cut,) = read([entry]).cuts
    (supervision,) = cut.supervisions
    assert (supervision.text, supervision.speaker, supervision.language) == ("Hello, World!", "s", "fr")
    assert (supervision.start, supervision.duration) == (0.0, 0.5)
    assert (cut.id, cut.duration, cut.sampling_rate) == ("a", 0.5, RATE_HZ)
    assert cut.custom == {"age": 6, "domain": "d", "kind": "real", "prompt": prompt_of("hello world")}
    assert Path(cut.recording.sources[0].source) == path.resolve()


@pytest.mark.parametrize("said", [None, "", " ", "unknown", "None", "NaN", "n/a", "-"])
def test_no_speaker_is_unknown_however_a_corpus_writes_it(tmp_path: Path, said: object) -> None:
    """None of a dataset's columns was read as a speaker called None, and as one speaker of all recordings."""
    assert speaker_name(said) == UNKNOWN_SPEAKER
    (cut,) = read([utterance(write_tone(tmp_path / "a.wav"), speaker=said)]).cuts
    assert cut.supervisions[0].speaker == UNKNOWN_SPEAKER
    assert speaker_of(cut) == ""
    assert speaker_name(" 7 ") == "7"


def test_every_fault_is_listed_and_the_rest_kept_in_order(tmp_path: Path) -> None:
    good = [write_tone(tmp_path / f"good{n}.wav", 0.1 + n / 10) for n in range(5)]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF and nothing more")
    truncated = tmp_path / "truncated.flac"
    soundfile.write(truncated, np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ), RATE_HZ)
    truncated.write_bytes(truncated.read_bytes()[:-5000])
    faults = [
        (utterance(tmp_path / "missing.wav"), "the audio file is missing"),
        (utterance(broken), "the audio cannot be decoded"),
        (utterance(truncated), "the audio"),
        (utterance(write_silence_of_no_length(tmp_path / "empty.wav")), "the audio has no samples"),
        (utterance(good[0], id="blank", text=" \n"), "the text is empty"),
        (utterance(good[1], id="good0"), "the id occurs twice"),
        (utterance(good[1], id="late", start_s=0.15, duration_s=0.1), "the span lies outside the audio"),
    ]
    entries: list[CorpusUtterance | Problem] = [utterance(path) for path in good]
    entries += [*(entry for entry, _ in faults), Problem("line 7", "table", "odd")]
    reading = read(entries)
    assert [cut.id for cut in reading.cuts] == [path.stem for path in good]
    assert reading.read == len(entries) == len(good) + len(reading.problems)
    assert [problem.id for problem in reading.problems] == [entry.id for entry, _ in faults] + ["line 7"]
    for problem, rule in zip(reading.problems, [*(rule for _, rule in faults), "odd"], strict=True):
        assert problem.rule.startswith(rule)
    assert "the text is empty: 1" in reading.summary()


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    entries: list[CorpusUtterance | Problem] = [utterance(tmp_path / f"{n}.wav") for n in range(3)]
    with pytest.raises(
        DataError, match=r"corpus: no usable utterance among 3; most often \(3 times\): the audio file is"
    ):
        read(entries)
    with pytest.raises(DataError, match="no usable utterance among 0"):
        read([])


def test_spans_of_one_file(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", 1.0)
    reading = read([utterance(path, id=str(n), start_s=n / 4, duration_s=0.25) for n in range(4)])
    assert [(cut.start, cut.duration) for cut in reading.cuts] == [(0, 0.25), (0.25, 0.25), (0.5, 0.25), (0.75, 0.25)]
    whole, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(np.concatenate([cut.load_audio()[0] for cut in reading.cuts]), whole)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Hello,  World!", "hello world"), ("don't", "don't"), ("A.M.", "a m"), ("Straße", "strasse"), ("...", "")],
)
def test_normalised(text: str, plain: str) -> None:
    assert normalised(text) == plain


@given(st.text(alphabet="abc ,.!", max_size=20))
def test_prompts_do_not_depend_on_case_or_punctuation(text: str) -> None:
    assert prompt_of(text) == prompt_of(f" {text.upper()} !")
    assert normalised(normalised(text)) == normalised(text)


def test_a_prompt_is_a_prefix_of_the_sha256() -> None:
    # printf 'hello world' | sha256sum
    assert prompt_of("Hello, world.") == "b94d27b9934d3e08"
