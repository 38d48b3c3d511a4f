"""Asterisk's prompts: texts, domains, and the telephone codecs that Lhotse does not read."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_analogy.corpora import CorpusReading, import_corpus, read_corpus
from speech_analogy.corpora.asterisk import domain_of, spoken_text
from speech_analogy.errors import ConfigError, DataError
from tests.corpora.sounds import tone, write_tone

DEBIAN = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
TEXTS = """; a comment: not a prompt

vm-intro: Please leave your message. (simple tone sound plays)
digits/1: one
dir-multi1: Press ...
beep: [a beep]
gone: Not here.
"""


def write_texts(folder: Path, texts: str = TEXTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "core-sounds-en.txt.gz"
    path.write_bytes(gzip.compress(texts.encode()))
    return path


def read(path: Path, **options: object) -> CorpusReading:
    return read_corpus("asterisk", path, progress=False, **options)


def test_prompts_in_wav(tmp_path: Path) -> None:
    write_texts(tmp_path)
    for name in ("vm-intro", "digits/1", "dir-multi1", "beep", "unwritten"):
        write_tone(tmp_path / f"{name}.wav", rate=8_000)
    reading = read(tmp_path, speaker="Allison")
    assert [(cut.id, cut.supervisions[0].text, cut.custom["domain"]) for cut in reading.cuts] == [
        ("digits-1", "one", "digits"),
        ("dir-multi1", "Press", "dir"),
        ("vm-intro", "Please leave your message.", "vm"),
    ]
    assert {cut.supervisions[0].speaker for cut in reading.cuts} == {"Allison"}
    assert {problem.id: problem.rule for problem in reading.problems} == {
        "beep": "the text describes a sound; nothing is spoken",
        "gone": "the audio file is missing",
        "unwritten": "the prompt has no text",
    }


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        ("at [@]", "at"),
        ("space [ ]", "space"),
        ("(10 seconds of silence)", ""),
        ("<beep ascending>", ""),
        ("... extension ...", "extension"),
        ("...to lock, or  unlock.", "to lock, or unlock."),
        ('IAX (note: does not say "2")', "IAX"),
        ("Hold on.  Please…", "Hold on. Please"),
    ],
)
def test_spoken_text(raw: str, spoken: str) -> None:
    assert spoken_text(raw) == spoken


@pytest.mark.parametrize(
    ("name", "domain"),
    [("letters/a", "letters"), ("vm-intro", "vm"), ("confbridge-join", "confbridge"), ("conf-full", "conf"),
     ("priv-callpending", "privacy"), ("hello-world", "general"), ("vmish", "general")],
)  # fmt: skip
def test_domains(name: str, domain: str) -> None:
    assert domain_of(name) == domain


def encode(path: Path, suffix: str, rate: int) -> None:
    """Write a 440 Hz tone of 0.5 s at `rate` in a telephone format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(rate=rate)
    if suffix == ".g722":
        wave = write_tone(path.with_suffix(".source.wav"), rate=rate)
        command = ["ffmpeg", "-v", "error", "-i", str(wave), "-f", "g722", str(path)]
        subprocess.run(command, check=True)
        wave.unlink()
    elif suffix == ".gsm":
        soundfile.write(path, samples, rate, format="RAW", subtype="GSM610")
    else:
        path.write_bytes((samples * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize(
    ("suffix", "rate"),
    [pytest.param(".g722", 16_000, marks=needs_ffmpeg), (".gsm", 8_000), (".sln", 8_000), (".sln16", 16_000)],
)
def test_telephone_codecs_are_decoded(tmp_path: Path, suffix: str, rate: int) -> None:
    source = tmp_path / "sounds"
    write_texts(source, "vm-intro: hello\nvm-bye: bye\n")
    encode(source / f"vm-intro{suffix}", suffix, rate)
    (source / f"vm-bye{suffix}").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"decode_to: .* must be decoded"):
        read(source)
    out = tmp_path / "cuts.jsonl.gz"
    reading = import_corpus("asterisk", source, out, options={"progress": False})
    (cut,) = reading.cuts
    assert Path(cut.recording.sources[0].source) == tmp_path.resolve() / "cuts_audio/vm-intro.flac"
    assert (cut.sampling_rate, cut.custom["codec"]) == (rate, suffix[1:])
    assert abs(cut.duration - 0.5) < 0.021  # GSM fills up its last frame of 20 ms
    spectrum = np.abs(np.fft.rfft(cut.load_audio()[0], rate))
    assert abs(int(np.argmax(spectrum)) - 440) <= 2  # 1 Hz a bin
    assert [problem.id for problem in reading.problems] == ["vm-bye"]
    made = Path(cut.recording.sources[0].source).stat().st_mtime_ns
    import_corpus("asterisk", source, out, options={"progress": False}, overwrite=True)
    assert Path(cut.recording.sources[0].source).stat().st_mtime_ns == made  # decoded once


def test_without_ffmpeg_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path, "vm-intro: hello\n")
    (tmp_path / "vm-intro.g722").write_bytes(b"\x00" * 800)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=r"vm-intro\.g722: G\.722 is decoded by ffmpeg.*apt-get install ffmpeg"):
        read(tmp_path, decode_to=tmp_path / "decoded")


def test_the_best_of_several_formats(tmp_path: Path) -> None:
    write_texts(tmp_path, "vm-intro: hello\n")
    encode(tmp_path / "vm-intro.gsm", ".gsm", 8_000)
    encode(tmp_path / "vm-intro.sln16", ".sln16", 16_000)
    (cut,) = read(tmp_path, decode_to=tmp_path / "decoded").cuts
    assert cut.custom["codec"] == "sln16"


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prompt"):
        read(tmp_path)
    write_tone(tmp_path / "sounds/vm-intro.wav")
    with pytest.raises(DataError, match=r"no core-sounds-xx\.txt.*option `texts`"):
        read(tmp_path / "sounds", language="xx")
    empty = write_texts(tmp_path / "texts", "; only a comment\n")
    with pytest.raises(DataError, match="no line of the form"):
        read(tmp_path / "sounds", texts=empty)
    empty.write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "sounds", texts=empty)
    beside = write_texts(tmp_path, "vm-intro: hello\n")
    assert len(read(tmp_path / "sounds").cuts) == 1
    assert beside.is_file()


@needs_ffmpeg
@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's asterisk-core-sounds-en-g722")
def test_debians_own_prompts(tmp_path: Path) -> None:
    names = ("digits/1", "letters/at", "vm-intro", "silence/1")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(DEBIAN / f"{name}.g722", tmp_path / f"{name}.g722")
    reading = read(tmp_path, decode_to=tmp_path / "decoded")  # texts: where Debian puts them
    assert {cut.id: cut.supervisions[0].text for cut in reading.cuts} == {
        "digits-1": "one",
        "letters-at": "at",
        "vm-intro": "Please leave your message after the tone. When done hang up or press the pound key.",
    }
    files = {"digits-1": "digits/1", "letters-at": "letters/at", "vm-intro": "vm-intro"}
    for cut in reading.cuts:  # two samples a byte
        source = tmp_path / f"{files[cut.id]}.g722"
        assert cut.recording.num_samples == 2 * source.stat().st_size
