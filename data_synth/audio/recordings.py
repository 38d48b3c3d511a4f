"""Recordings that a user gives (noise, impulse responses, reference speech): found, distinguished by content, read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from data_synth.audio.samples import Samples
from speech_analogy.errors import DataError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")  # what libsndfile reads
MOST_SAMPLES_A_BYTE = 10_000  # silence in FLAC has some hundreds
FILES_REMEMBERED = 4096  # digests of files, 64 characters each


@lru_cache
def find_recordings(given: tuple[Path, ...]) -> tuple[Path, ...]:
    """The audio files that are given, and those of given folders with their subfolders, by path within the folder.

    The order depends on names below a folder and not on where it lies, so the same seed picks the same file elsewhere.
    Folders are read once a process.

    Raises:
        DataError: a file or folder is missing, or a folder holds no audio.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            below = [file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()]
            if not below:
                raise DataError(f"the folder holds no audio ({', '.join(AUDIO_SUFFIXES)})", file=path)
            found += sorted(below, key=lambda file: file.relative_to(path).as_posix())
        elif path.is_file():
            found.append(path)
        else:
            raise DataError("no such file or folder", file=path)
    return tuple(found)


def recordings_digest(given: Sequence[Path]) -> str:
    """The sha256 of all given recordings, in order: of what they hold, not of where they lie."""
    total = hashlib.sha256()
    for path in find_recordings(tuple(given)):
        total.update(file_digest(str(path)).encode())
    return total.hexdigest()


@lru_cache(maxsize=FILES_REMEMBERED)
def file_digest(path: str) -> str:
    """The sha256 of a file's bytes, read once a process.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"the audio cannot be read: {error.strerror}", file=path) from None


def count_samples(path: Path, rate: int) -> int:
    """How many samples a file will have at `rate` Hz, by its header.

    Raises:
        DataError: it is no audio.
    """
    try:
        header = soundfile.info(path)
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    return int(header.frames * rate / header.samplerate)


def read_recording(path: Path, rate: int, start: int = 0, count: int | None = None) -> Samples:
    """The first channel of a file, or a piece of it, at `rate` Hz: float32 (samples,).

    Args:
        path: a file.
        rate: Hz, of what is returned.
        start: first sample, at `rate`.
        count: samples, at `rate`; None: to the end. There are fewer where the file ends before.

    Raises:
        DataError: it is no audio, or holds samples that are no numbers.
    """
    try:
        with soundfile.SoundFile(path) as file:
            own_rate = int(file.samplerate)
            if count is None and file.frames > MOST_SAMPLES_A_BYTE * path.stat().st_size:
                rule = f"the header must not claim {file.frames} samples in so few bytes"
                raise DataError(rule, file=path, value=path.stat().st_size)
            first = min(start * own_rate // rate, file.frames)
            wanted = file.frames - first if count is None else -(-count * own_rate // rate) + 1
            skipped = 0 if file.seekable() else first  # GSM 6.10 is decoded from its start
            if first > skipped:
                file.seek(first)
            samples = file.read(skipped + wanted, dtype="float32", always_2d=True)[skipped:, 0]
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    if not np.isfinite(samples).all():
        raise DataError("the recording holds samples that are no numbers", file=path)
    if own_rate != rate:
        samples = soxr.resample(samples, own_rate, rate)
    return np.ascontiguousarray(samples[:count], dtype=np.float32)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"the recording cannot be decoded: {str(error).splitlines()[0]}", file=path)
