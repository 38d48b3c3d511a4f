"""Recordings of any length: whole where they fit, cut where they do not, memory flat, bad ones listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet
from typer.testing import CliRunner

from speech_analogy import transcribe
from speech_analogy.cli.main import app
from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.evaluation.transcribe import Transcript
from speech_analogy.evaluation.transcribe import transcribe as transcribe_cuts
from speech_analogy.long_audio import transcribe as room
from speech_analogy.long_audio.recordings import find_sound
from speech_analogy.long_audio.speech_finder import SpeechSegment
from speech_analogy.long_audio.transcribe import Ended, SoundTranscriber
from speech_analogy.recognisers.decoding import DecodingOptions
from tests.conftest import make_corpus

RATE_HZ = 16_000
TRIMMED = DecodingOptions(window="trimmed")  # there, the random weights of `small_whisper` write words


def noise(path: Path, seconds: float, seed: int = 0) -> Path:
    wave = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    soundfile.write(path, wave, RATE_HZ, subtype="PCM_16")
    return path


@pytest.fixture
def every_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of Silero: a segment of one second every two."""

    def segments(blocks: Iterator[np.ndarray], options: Any = None) -> Iterator[SpeechSegment]:
        held, at = np.zeros(0, np.float32), 0
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) >= 2 * RATE_HZ:
                yield SpeechSegment(at / RATE_HZ, held[:RATE_HZ])
                held, at = held[2 * RATE_HZ :], at + 2 * RATE_HZ

    monkeypatch.setattr(room, "speech_segments", segments)


def transcripts(source: Path, model: Path) -> list[Transcript]:
    """In trimmed windows."""
    return transcribe(source, model, decoding=TRIMMED, progress=False).transcripts


def test_short_recordings_are_decoded_as_an_evaluation_does(tmp_path: Path, small_whisper: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 3)
    ours = transcribe(corpus, small_whisper, decoding=TRIMMED, progress=False)
    cuts = transcribe_cuts(corpus, small_whisper, decoding=TRIMMED, progress=False)
    assert [(row.id, row.text) for row in ours.transcripts] == [(row.id, row.text) for row in cuts.transcripts]
    assert [row.duration_s for row in ours.transcripts] == [row.duration_s for row in cuts.transcripts]


def test_cuts_go_the_way_of_cuts(small_whisper: Path, noises: CutSet) -> None:
    few = CutSet.from_cuts(list(noises)[:2])
    assert [row.text for row in transcribe(few, small_whisper, decoding=TRIMMED, progress=False).transcripts] == [
        row.text for row in transcribe_cuts(few, small_whisper, decoding=TRIMMED, progress=False).transcripts
    ]


@pytest.mark.usefixtures("every_two_seconds")
def test_long_recordings_have_segments_with_times(tmp_path: Path, small_whisper: Path) -> None:
    found = transcribe(noise(tmp_path / "a.wav", 40.0), small_whisper, decoding=TRIMMED, progress=False)
    [row] = found.transcripts
    assert row.duration_s == pytest.approx(40.0)
    assert [(segment.start_s, segment.end_s) for segment in row.segments] == [
        (2.0 * number, 2.0 * number + 1.0) for number in range(20)
    ]
    assert row.text == " ".join(segment.text for segment in row.segments)


@pytest.mark.usefixtures("every_two_seconds")
def test_what_shares_a_batch_changes_nothing(
    tmp_path: Path, small_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3):
        noise(folder / f"{number}.wav", 35.0, number)
    together = transcripts(folder, small_whisper)
    monkeypatch.setattr(room, "HELD_SPEECH_S", 3.0)
    apart = transcripts(folder, small_whisper)
    alone = [transcripts(folder / f"{number}.wav", small_whisper)[0] for number in range(3)]
    assert [row.segments for row in together] == [row.segments for row in apart] == [row.segments for row in alone]


@pytest.mark.usefixtures("every_two_seconds")
def test_speech_is_held_only_as_much_as_is_decoded_together(
    tmp_path: Path, small_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts come while the recording is read; what waits is bounded."""
    held: list[float] = []

    def decode(waves: Sequence[np.ndarray], *options: Any) -> list[Any]:
        held.append(sum(map(len, waves)) / RATE_HZ)
        return [room.TimedText(0, 0, "x") for _ in waves]

    monkeypatch.setattr(room, "decode_arrays", decode)
    monkeypatch.setattr(room, "HELD_SPEECH_S", 5.0)
    opened = SoundTranscriber.load(small_whisper, TRIMMED)
    found = list(opened.texts(find_sound([noise(tmp_path / "a.flac", 100.0)])))
    assert len(found) == 51
    assert isinstance(found[-1][1], Ended)
    assert max(held) <= 5.0
    assert len(held) >= 10


def test_silence_gives_no_words(tmp_path: Path, small_whisper: Path) -> None:
    """Of random weights, which write on anything that is not taken for silence."""
    soundfile.write(tmp_path / "quiet.wav", np.zeros(3 * RATE_HZ), RATE_HZ)
    soundfile.write(tmp_path / "long.wav", np.zeros(40 * RATE_HZ), RATE_HZ)
    assert [row.text for row in transcripts(tmp_path, small_whisper)] == [
        "",
        "",
    ]
    assert (
        transcribe(noise(tmp_path / "loud.wav", 3.0), small_whisper, decoding=TRIMMED, progress=False)
        .transcripts[0]
        .text
    )


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    noise(folder / "a.wav", 1.0)
    (folder / "b.mp3").write_bytes(b"no audio")
    noise(folder / "deep" / "c.flac", 1.0, 1)
    (folder / "notes.txt").write_text("no audio either")
    return folder


def test_a_bad_file_among_good_ones_is_a_problem(mixed: Path, small_whisper: Path) -> None:
    found = transcribe(mixed, small_whisper, decoding=TRIMMED, progress=False)
    assert [row.id for row in found.transcripts] == ["a.wav", "deep/c.flac"]
    assert list(found.problems) == ["b.mp3"]
    assert "cannot be decoded" in found.problems["b.mp3"]


def test_nothing_that_can_be_read_is_an_error(mixed: Path, small_whisper: Path) -> None:
    with pytest.raises(DataError, match=r"b\.mp3: the audio cannot be decoded"):
        transcribe(mixed / "b.mp3", small_whisper, decoding=TRIMMED, progress=False)


def run(*arguments: object) -> tuple[int, str, str]:
    """Status, standard output, and the error's line."""
    done = CliRunner().invoke(app, ["transcribe", *map(str, arguments), "--window", "trimmed", "-q"])
    said = str(done.exception) if isinstance(done.exception, SpeechAnalogyError) else ""
    return done.exit_code, done.stdout, said


def test_the_command_prints_a_line_a_file_and_names_the_bad_one(mixed: Path, small_whisper: Path) -> None:
    status, out, said = run(mixed, "--model", small_whisper)
    assert status
    assert [line.split("\t")[0] for line in out.splitlines()] == ["a.wav", "deep/c.flac"]
    assert said.startswith("1 of 3 recordings could not be transcribed: ")
    assert "b.mp3" in said


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "srt", "vtt", "tsv"])
def test_the_command_writes_a_file_for_each(mixed: Path, small_whisper: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    status, printed, said = run(mixed, "--model", small_whisper, "--format", form, "--out", out)
    assert status
    assert not printed
    assert "b.mp3" in said
    suffix = "txt" if form == "text" else form
    files = sorted(str(file.relative_to(out)) for file in out.rglob("*") if file.is_file())
    assert files == [f"a.{suffix}", f"deep/c.{suffix}"]
    if form == "json":
        assert json.loads((out / "a.json").read_text())["segments"][0]["end"] == pytest.approx(1.0)
    status, _, said = run(mixed, "--model", small_whisper, "--format", form, "--out", out)
    assert "exists" in said
    assert not run(mixed / "a.wav", "--model", small_whisper, "--format", form, "--out", out, "--overwrite")[0]


def test_names_that_differ_in_their_suffix_alone(tmp_path: Path, small_whisper: Path) -> None:
    noise(tmp_path / "a.wav", 1.0)
    noise(tmp_path / "a.flac", 1.0)
    assert run(tmp_path, "--model", small_whisper, "--format", "srt", "--out", tmp_path / "out")[0] == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.flac.srt", "a.wav.srt"]


def test_mistakes_are_one_line(mixed: Path, small_whisper: Path, tmp_path: Path) -> None:
    assert "name a folder by --out" in run(mixed, "--model", small_whisper, "--format", "srt")[2]
    assert "no such file" in run(tmp_path / "nothing.wav", "--model", small_whisper)[2]
    (tmp_path / "empty").mkdir()
    assert "no audio in this folder" in run(tmp_path / "empty", "--model", small_whisper)[2]
    assert len(find_sound([mixed / "a.wav", mixed / "a.wav"])) == 1
    other = noise(tmp_path / "a.wav", 1.0)
    same = run(mixed / "a.wav", other, "--model", small_whisper, "--out", tmp_path / "o")[2]
    assert "two recordings have one name" in same


def test_torch_keeps_its_threads_when_speech_is_found(tmp_path: Path) -> None:
    """The package silero-vad sets torch to one thread when it is imported."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert list(room.speech_segments([np.zeros(RATE_HZ, np.float32)])) == []
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_memory_is_that_of_a_short_recording(tmp_path: Path, small_whisper: Path) -> None:
    """Peak memory over two hours, a minute of noise in every ten, against ten minutes: processes of their own."""
    import subprocess
    import sys

    script = (
        "import resource, sys; from pathlib import Path; from speech_analogy.long_audio.transcribe import *; "
        "opened = SoundTranscriber.load(sys.argv[1]); "
        "count = sum(1 for _ in opened.texts([SoundFile(Path(sys.argv[2]), 'a')])); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    peaks = []
    for minutes in (10, 120):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
            for number in range(minutes // 10):
                generator = np.random.default_rng(number)
                file.write((0.1 * generator.standard_normal(60 * RATE_HZ)).astype(np.float32))
                file.write(np.zeros(540 * RATE_HZ, np.float32))
        done = subprocess.run(
            [sys.executable, "-c", script, str(small_whisper), str(path)], capture_output=True, text=True, check=True
        )
        peaks.append(float(done.stdout))
    assert peaks[1] < peaks[0] + 60  # MiB; two hours of samples are 439
