"""Cuts that would be learned from or scored wrongly, and audio that is no file: refused by name, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from lhotse import AudioSource, CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio.source import AudioSource as Source
from lhotse.cut import MixedCut

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.read import read_corpus, read_cuts, write_cuts
from speech_analogy.errors import DataError
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.training.features import FeatureStore
from speech_analogy.training.finetune import finetune
from tests.cli.running import fails, run_in_a_process
from tests.conftest import make_corpus
from tests.corpora.sounds import RATE_HZ, tone, write_tone


def cut_of(path: Path, identity: str, text: str = "a word", **supervision: Any) -> MonoCut:
    info = soundfile.info(path)
    duration = info.frames / info.samplerate
    source = AudioSource("file", [0], str(path))
    recording = Recording(identity, [source], info.samplerate, info.frames, duration)
    own = {"start": 0.0, "duration": duration, **supervision}
    segment = SupervisionSegment(identity, identity, text=text, **own)
    return MonoCut(identity, 0.0, duration, 0, supervisions=[segment], recording=recording)


@pytest.fixture
def cut(tmp_path: Path) -> MonoCut:
    return cut_of(write_tone(tmp_path / "a.wav", 2.0), "a")


def refused(cuts: list[Any], tmp_path: Path, *said: str) -> None:
    """Both ways in: from a file, and as an object."""
    write_cuts(CutSet.from_cuts(cuts), tmp_path / "cuts.jsonl", overwrite=True)
    for source in (tmp_path / "cuts.jsonl", CutSet.from_cuts(cuts)):
        with pytest.raises(DataError) as found:
            cuts_of(source)
        assert all(part in str(found.value) for part in said), str(found.value)


def test_two_cuts_of_one_id(cut: MonoCut, tmp_path: Path) -> None:
    other = cut_of(write_tone(tmp_path / "b.wav", 2.0, hertz=900), "a")
    refused([cut, other], tmp_path, "same id", "'a'")
    refused([cut, cut], tmp_path, "same id")


def test_one_recording_under_several_ids(cut: MonoCut, tmp_path: Path) -> None:
    """It would be scored, or learned from, as often. Other parts of it, and what is made of it, are other cuts."""
    copies = [cut_of(tmp_path / "a.wav", f"again-{number}") for number in range(22)]
    refused([cut, *copies], tmp_path, "again-0: the same part of the same recording is a cut already", "'a'")
    second = cut_of(tmp_path / "a.wav", "b")
    halves = [cut.truncate(duration=1.0, preserve_id=True), second.truncate(offset=1.0, preserve_id=True)]
    faster = cut_of(tmp_path / "a.wav", "c").perturb_speed(1.1)
    mixed = cut.pad(2.2, preserve_id=True)
    for own in (halves, [cut, faster], [second, mixed]):
        write_cuts(CutSet.from_cuts(own), tmp_path / "cuts.jsonl", overwrite=True)
        assert len(cuts_of(tmp_path / "cuts.jsonl")) == 2


def test_a_corpus_that_lists_a_recording_often(tmp_path: Path) -> None:
    """The first is kept, the others are listed; copies in files of their own are counted."""
    corpus = tmp_path / "corpus"
    for name in ("a", "copy"):
        write_tone(corpus / f"{name}.wav")
    write_tone(corpus / "b.wav", hertz=900)
    lines = ["file_name,text,id", "a.wav,one,0", *(f"a.wav,two,{n}" for n in range(1, 22)), "b.wav,x,b", "copy.wav,y,c"]
    (corpus / "metadata.csv").write_text("\n".join(lines))
    reading = read_corpus("folder", corpus, progress=False)
    assert [one.id for one in reading.cuts] == ["0", "b", "c"]
    assert {problem.rule for problem in reading.problems} == {"the recording is listed twice; the first is kept"}
    assert "left out, the recording is listed twice; the first is kept: 21" in reading.summary()
    assert "the same audio as another's, in a file of its own: 1" in reading.summary()


@pytest.mark.parametrize("kind", ["command", "url"])
@pytest.mark.parametrize("mixed", [False, True])
def test_audio_of_a_command_or_an_address(cut: MonoCut, tmp_path: Path, kind: str, mixed: bool) -> None:
    """Nothing runs and nothing is fetched, also where it lies below a mix."""
    touched = tmp_path / "touched"
    source = f"touch {touched}" if kind == "command" else f"file://{touched}"
    assert cut.recording is not None
    cut.recording.sources[0] = Source(kind, [0], source)
    one: Any = cut.append(cut_of(write_tone(tmp_path / "b.wav"), "b").drop_supervisions()) if mixed else cut
    assert isinstance(one, MixedCut) == mixed
    refused([one], tmp_path, f"not of a {kind}")
    with pytest.raises(DataError, match=f"not of a {kind}"):
        load_audio(one)
    assert not touched.exists()


def test_several_supervisions_and_one_over_a_part(cut: MonoCut, tmp_path: Path) -> None:
    cut.supervisions.append(SupervisionSegment("b", "a", 0.0, 2.0, text="another"))
    refused([cut], tmp_path, "one supervision", "trim_to_supervisions")
    half = cut_of(write_tone(tmp_path / "b.wav", 2.0), "b", start=0.0, duration=1.0)
    refused([half], tmp_path, "covers only a part", "0 to 1 s of 2 s", "trim_to_supervisions")


def test_what_is_sound_passes(cut: MonoCut, tmp_path: Path) -> None:
    """A supervision with a little silence around it, a cut without one, and a mix."""
    around = cut_of(write_tone(tmp_path / "b.wav", 2.0), "b", start=0.1, duration=1.7)
    bare = cut_of(write_tone(tmp_path / "c.wav", 2.0), "c").drop_supervisions()
    padded = cut_of(write_tone(tmp_path / "d.wav", 2.0), "d").pad(duration=2.2)
    kept = [cut, around, bare, padded]
    write_cuts(CutSet.from_cuts(kept), tmp_path / "cuts.jsonl")
    assert [one.id for one in cuts_of(tmp_path / "cuts.jsonl")] == [one.id for one in kept]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number(tmp_path: Path, value: float) -> None:
    """The recording is listed as a problem by its name; the others stay. What is given as cuts is refused."""
    corpus = make_corpus(tmp_path / "corpus", 3)
    path = sorted(corpus.rglob("*.wav"))[1]
    samples = tone(1.0)
    samples[700] = value
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    reading = read_corpus("folder", corpus, progress=False)
    assert len(list(reading.cuts)) == 2
    [problem] = reading.problems
    assert "no finite number" in problem.rule
    assert problem.file == str(path)
    with pytest.raises(DataError, match=r"no finite number.*"):
        load_audio(cut_of(path, "x"))


def test_features_belong_to_their_recording(small_whisper: Path, tmp_path: Path) -> None:
    """Two recordings of one id, rate and length: neither is heard as the other."""
    one = cut_of(write_tone(tmp_path / "one" / "a.wav", 1.0), "a")
    other = cut_of(write_tone(tmp_path / "other" / "a.wav", 1.0, hertz=900), "a")
    store = FeatureStore(load_recogniser(small_whisper), "trimmed", None, 1 << 30)
    found, beside = (store.batch([cut], 1.5) for cut in (one, other))
    assert not np.allclose(found.numpy(), beside.numpy())
    np.testing.assert_array_equal(store.batch([one], 1.5).numpy(), found.numpy())


def test_a_file_of_cuts_names_itself(cut: MonoCut, tmp_path: Path) -> None:
    write_cuts(CutSet.from_cuts([cut, cut]), tmp_path / "cuts.jsonl.gz")
    with pytest.raises(DataError, match=r"cuts\.jsonl\.gz: id: two cuts"):
        read_cuts(tmp_path / "cuts.jsonl.gz")


@pytest.mark.parametrize("side", [0, 1])
def test_two_channels_are_mixed_down_whichever_of_them_speaks(tmp_path: Path, side: int) -> None:
    """By default their mean, and it is said how many were; a channel can be named."""
    speech = tone(1.0)
    both = np.zeros((len(speech), 2), dtype=np.float32)
    both[:, side] = speech
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    soundfile.write(corpus / "a.wav", both, RATE_HZ)
    (corpus / "a.txt").write_text("a word")
    reading = read_corpus("folder", corpus, progress=False)
    assert "mixed down from several channels: 1" in reading.summary()
    [cut] = reading.cuts
    write_cuts(reading.cuts, tmp_path / "cuts.jsonl")
    for one in (cut, *read_cuts(tmp_path / "cuts.jsonl"), *cuts_of(corpus / "a.wav")):
        np.testing.assert_allclose(load_audio(one), speech / 2, atol=1e-3)
    [quiet] = read_corpus("folder", corpus, progress=False, channel=1 - side).cuts
    assert np.abs(load_audio(quiet)).max() < 1e-3
    with pytest.raises(DataError, match="no channel 2"):
        read_corpus("folder", corpus, progress=False, channel=2)


def test_a_channel_of_cuts_is_theirs(cut: MonoCut, tmp_path: Path, small_whisper: Path) -> None:
    write_cuts(CutSet.from_cuts([cut]), tmp_path / "cuts.jsonl")
    asked = ("transcribe", tmp_path / "cuts.jsonl", "--model", small_whisper, "--channel", "1")
    fails(run_in_a_process(*asked), "--channel: cuts name their channels themselves", "--option channel=N")
    soundfile.write(tmp_path / "mono.wav", tone(1.0), RATE_HZ)
    asked = ("transcribe", tmp_path / "mono.wav", "--model", small_whisper, "--channel", "1", "--quiet")
    fails(run_in_a_process(*asked), "mono.wav", "the audio has no channel 1")


def test_more_text_than_can_be_spoken_or_written(small_whisper: Path, tmp_path: Path) -> None:
    """Listed at import, and refused by fine-tuning where cuts come from elsewhere: cut off, it teaches to stop."""
    corpus = tmp_path / "corpus"
    for name, text in (("a", "word " * 1801), ("b", "a word")):
        write_tone(corpus / f"{name}.wav", 4.9)
        (corpus / f"{name}.txt").write_text(text)
    reading = read_corpus("folder", corpus, progress=False)
    assert [cut.id for cut in reading.cuts] == ["b"]
    assert [problem.rule for problem in reading.problems] == ["the text is longer than can be spoken in the time"]
    long = cut_of(corpus / "a.wav", "a", text="word " * 1801)
    with pytest.raises(DataError, match=r"a: the text has more than the \d+ tokens"):
        finetune(CutSet.from_cuts([long]), small_whisper, tmp_path / "model", progress=False)
    assert not list(tmp_path.glob("*model*"))
