"""A file that is not, or no longer, the recording that a cut says it is: refused by name when it is loaded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from data_synth.audio.headers import header_problem
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.read import import_corpus, read_corpus, read_cuts
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import DataError
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.training.finetune import finetune
from tests.conftest import make_corpus
from tests.corpora.sounds import RATE_HZ, tone, write_tone
from tests.faults.staged import flipped, in_place

RATE_AT, BYTE_RATE_AT, DATA_SIZE_AT = 24, 28, 40  # in the header of a plain WAV file, bytes


def imported(folder: Path, suffix: str = ".wav", seconds: float = 1.0) -> tuple[Path, Any]:
    """A corpus of one recording, imported into a file of cuts."""
    path = write_tone(folder / "corpus" / f"a{suffix}", seconds)
    path.with_suffix(".txt").write_text("a word")
    import_corpus("folder", folder / "corpus", folder / "cuts.jsonl", options={"progress": False})
    [cut] = read_cuts(folder / "cuts.jsonl")
    load_audio(cut)
    return path, cut


def number_at(place: int, value: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:place] + struct.pack("<I", value) + content[place + 4 :]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize(
    ("seconds", "hertz", "said"),
    [(2.0, 440, "longer than its cut says"), (0.6, 440, "shorter|not what was"), (1.0, 900, "not what was imported")],
)
def test_a_recording_that_was_exchanged(tmp_path: Path, suffix: str, seconds: float, hertz: int, said: str) -> None:
    """For a longer one, a shorter one, and another one of the same length."""
    path, cut = imported(tmp_path, suffix)
    write_tone(path, seconds, hertz=hertz)
    with pytest.raises(DataError, match=rf"a\{suffix}: .*({said}).*import the corpus again"):
        load_audio(cut)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (RATE_AT, 8000, "another rate than its cut says, 16000 Hz"),
        (RATE_AT, 32000, "another rate"),
        (DATA_SIZE_AT, RATE_HZ, "shorter than its cut|not what was imported"),
        (DATA_SIZE_AT, 99999999, "not what was imported"),
    ],
)
def test_a_header_that_was_changed(tmp_path: Path, place: int, value: int, said: str) -> None:
    path, cut = imported(tmp_path)
    in_place(path, number_at(place, value))
    with pytest.raises(DataError, match=said):
        load_audio(cut)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (number_at(RATE_AT, 8000), "8000 Hz, but 32000 bytes a second"),
        (number_at(DATA_SIZE_AT, RATE_HZ), "less than the file holds"),
        (number_at(DATA_SIZE_AT, 99999999), "truncated"),
        (lambda content: content[: len(content) // 2], "truncated"),
    ],
)
def test_a_header_that_lies_from_the_start(
    tmp_path: Path, change: Callable[[bytes], bytes], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a listed problem at import; in cuts from elsewhere it is refused."""
    corpus = make_corpus(tmp_path / "corpus", 3)
    in_place(corpus / "001.wav", change)
    reading = read_corpus("folder", corpus, progress=False)
    [problem] = reading.problems
    assert problem.file.endswith("001.wav")
    assert said in problem.rule
    assert len(list(reading.cuts)) == 2
    from lhotse import MonoCut, Recording  # as another program makes cuts, which believes the header

    bad = Recording.from_file(corpus / "001.wav", recording_id="x")
    with pytest.raises(DataError, match=said):
        load_audio(MonoCut("x", 0, bad.duration, 0, recording=bad))


def test_a_flac_file_whose_header_and_frames_disagree(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.flac", 1.0)
    assert header_problem(path) is None
    content = bytearray(path.read_bytes())
    rate = int.from_bytes(content[18:21], "big")
    assert rate >> 4 == RATE_HZ
    content[18:21] = (8000 << 4 | rate & 0xF).to_bytes(3, "big")
    path.write_bytes(content)
    assert header_problem(path) == "the audio's header says 8000 Hz, and its frames 16000 Hz"


def with_total(content: bytes, samples: int) -> bytes:
    """A FLAC file whose header says that it has so many samples a channel."""
    known = int.from_bytes(content[21:26], "big")
    return content[:21] + (known >> 36 << 36 | samples).to_bytes(5, "big") + content[26:]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("said", [1, 5_000, RATE_HZ - 1])
def test_a_flac_file_whose_header_says_less_than_its_frames_hold(tmp_path: Path, channels: int, said: int) -> None:
    """A decoder ends where the header says: the text would stand beside a part of its speech."""
    folder = tmp_path / "corpus"
    path = write_tone(folder / "a.flac", 1.0)
    soundfile.write(path, np.tile(tone(1.0)[:RATE_HZ, None], (1, channels)), RATE_HZ)
    path.with_suffix(".txt").write_text("a word")
    write_tone(folder / "sound.flac", 1.0, hertz=900).with_suffix(".txt").write_text("another")
    in_place(path, lambda content: with_total(content, said))
    assert soundfile.info(path).frames == said
    [problem] = read_corpus("folder", folder, progress=False).problems
    assert "less than the file holds" in problem.rule


@pytest.mark.parametrize("samples", [1, 100, 4096, 4097, 50_000, 700_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_sound_flac_files_pass(tmp_path: Path, samples: int, subtype: str) -> None:
    """Of one short block, of whole blocks, with numbers of frames in one byte and in two; noise holds false marks."""
    noise = np.random.default_rng(samples).normal(0, 0.2, samples).clip(-1, 1)
    path = tmp_path / "a.flac"
    soundfile.write(path, noise, RATE_HZ, subtype=subtype)
    assert header_problem(path) is None
    in_place(path, lambda content: with_total(content, 0))  # as a stream that was saved
    assert header_problem(path) is None
    in_place(path, lambda content: with_total(content, samples) + b"TAG" + bytes(125))
    assert header_problem(path) is None
    if samples > 1:
        in_place(path, lambda content: with_total(content[:-128], samples - 1))
        assert header_problem(path) is not None


def test_a_wav_file_in_gsm_6_10(tmp_path: Path) -> None:
    """Telephones' format: read to its length, which is whole blocks of 320 samples; a torn one is listed."""
    folder = tmp_path / "corpus"
    path = write_tone(folder / "a.wav", 1.0)
    soundfile.write(path, tone(1.0, 8_000), 8_000, subtype="GSM610")
    path.with_suffix(".txt").write_text("a word")
    import_corpus("folder", folder, tmp_path / "cuts.jsonl", options={"progress": False})
    [cut] = read_cuts(tmp_path / "cuts.jsonl")
    heard = load_audio(cut, 8_000)
    content = path.read_bytes()
    data = content.index(b"data")
    blocks = int.from_bytes(content[data + 4 : data + 8], "little") // 65  # of 65 bytes
    assert len(heard) in (320 * blocks, 320 * (blocks + 1))  # libsndfile takes the padding behind them for one more
    spectrum = np.abs(np.fft.rfft(heard[:8_000]))
    assert abs(int(spectrum.argmax()) - 440) <= 1  # Hz, of the tone
    in_place(path, lambda content: content[: len(content) // 2])
    write_tone(folder / "sound.wav", 1.0).with_suffix(".txt").write_text("another")
    [problem] = read_corpus("folder", folder, progress=False).problems
    assert "truncated" in problem.rule


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "PCM_U8", "IMA_ADPCM"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_headers_pass(tmp_path: Path, subtype: str, channels: int) -> None:
    samples = np.tile(tone(0.1)[:1601, None], (1, channels))  # an odd count: chunks are padded
    for suffix, format_ in ((".wav", "WAV"), (".wavex", "WAVEX")):
        if not soundfile.check_format(format_, subtype) or (subtype == "IMA_ADPCM" and channels > 2):
            continue
        path = tmp_path / f"a{suffix}"
        soundfile.write(path, samples, RATE_HZ, subtype=subtype, format=format_)
        assert header_problem(path) is None
        with path.open("ab") as file:
            file.write(b"LIST\x04\x00\x00\x00INFO")
        assert header_problem(path) is None


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_stream_that_was_saved_passes(tmp_path: Path, size: int) -> None:
    """Programs that write into a pipe cannot say how long it will be."""
    path = write_tone(tmp_path / "a.wav", 1.0)
    in_place(path, number_at(DATA_SIZE_AT, size))
    assert header_problem(path) is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF....WAVE", b"RIFF....WAVEfmt \xff\xff", b"fLaC", b"fLaC\x80"])
def test_torn_headers_are_the_decoders_business(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert header_problem(tmp_path / "a.wav") is None


def test_spans_and_mixed_cuts(tmp_path: Path) -> None:
    """The file is looked at whatever part of it a cut takes, and below a mix too."""
    path, cut = imported(tmp_path)
    span = cut.truncate(offset=0.2, duration=0.3)
    other = cut.pad(1.5)
    for one in (span, other):
        load_audio(one)
    write_tone(path, 1.0, hertz=900)
    for one in (span, other):
        with pytest.raises(DataError, match="not what was imported"):
            load_audio(one)


def test_a_corpus_that_was_moved_and_touched_passes(tmp_path: Path) -> None:
    path, cut = imported(tmp_path)
    in_place(path, lambda content: content)
    load_audio(cut)
    moved = path.rename(tmp_path / path.name)
    cut.recording.sources[0].source = str(moved)
    load_audio(cut)


def test_the_note_of_the_file_enters_no_hash(tmp_path: Path) -> None:
    """Runs of earlier versions, whose cuts had none, stay valid."""
    _, cut = imported(tmp_path)
    bare = CutSet.from_cuts([cut])
    [supervision] = cut.supervisions
    assert list(supervision.custom) == ["recorded_file"]
    noted = digest(bare)
    supervision.custom = None
    assert digest(CutSet.from_cuts([cut])) == noted


def test_everything_that_hears_refuses(tmp_path: Path, small_whisper: Path) -> None:
    path, cut = imported(tmp_path)
    in_place(path, flipped)
    cuts = tmp_path / "cuts.jsonl"
    with pytest.raises(DataError, match="not what was imported"):
        finetune(cuts, small_whisper, tmp_path / "model", progress=False)
    with pytest.raises(DataError, match="not what was imported"):
        transcribe(cuts, small_whisper, progress=False)
    assert cut.id == "a"
    assert not (tmp_path / "model").exists()
