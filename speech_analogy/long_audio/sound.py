"""A recording as 16 kHz mono blocks, whatever its format: through libsndfile where that reads it, else FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from data_synth.audio.samples import Samples
from speech_analogy.errors import DataError
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer

LIBSNDFILE_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
FFMPEG_SUFFIXES = (".m4a", ".aac", ".webm", ".mp4", ".mkv", ".mov", ".wma", ".amr", ".aiff", ".aif")
SOUND_SUFFIXES = LIBSNDFILE_SUFFIXES + FFMPEG_SUFFIXES
BLOCK_S = 4.0  # of a file, read at a time


def duration_s(path: Path) -> float | None:
    """Seconds by the file's header; None where it does not say.

    Raises:
        DataError: it is missing, or has no audio.
    """
    _require(path)
    if path.suffix.lower() in LIBSNDFILE_SUFFIXES:
        try:
            header = soundfile.info(str(path))
            return float(header.frames / header.samplerate)
        except (soundfile.LibsndfileError, OSError, RuntimeError):
            pass  # FFmpeg reads more codecs, and says what is wrong
    import av

    try:
        with av.open(str(path)) as container:
            stream = _audio_stream(container, path)
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            return None if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def sound_blocks(path: Path) -> Iterator[Samples]:
    """The recording in pieces of some seconds: float32 (samples,), 16 kHz, channels averaged.

    Raises:
        DataError: it is missing, has no audio, or cannot be decoded to its end.
    """
    _require(path)
    if path.suffix.lower() in LIBSNDFILE_SUFFIXES:
        try:
            opened = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, OSError, RuntimeError):
            pass
        else:
            yield from _resampled(_read_blocks(opened, path), int(opened.samplerate))
            return
    yield from _ffmpeg_blocks(path)


def _read_blocks(file: soundfile.SoundFile, path: Path) -> Iterator[Samples]:
    with file:
        frames = round(BLOCK_S * file.samplerate)
        read = 0
        while True:
            try:
                block = file.read(frames, dtype="float32", always_2d=True)  # (samples, channels)
            except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
                raise _unreadable(path, error) from None
            if not len(block):
                break
            read += len(block)
            yield _finite(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1), path)
        if read == 0 and file.frames > 0:
            raise DataError("the audio cannot be decoded: it holds no samples", file=path)


def _resampled(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    if rate == SAMPLING_RATE_HZ:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, SAMPLING_RATE_HZ, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _ffmpeg_blocks(path: Path) -> Iterator[Samples]:
    import av

    try:
        with av.open(str(path)) as container:
            _audio_stream(container, path)
            resampler = av.AudioResampler(format="fltp", rate=SAMPLING_RATE_HZ)  # FFmpeg's own mono adds up
            waiting: list[Samples] = []
            for frame in container.decode(audio=0):
                waiting += _samples(resampler.resample(frame), path)
                if sum(map(len, waiting)) >= BLOCK_S * SAMPLING_RATE_HZ:
                    yield np.concatenate(waiting)
                    waiting = []
            waiting += _samples(resampler.resample(None), path)
            if waiting:
                yield np.concatenate(waiting)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _samples(frames: list[AudioFrame], path: Path) -> list[Samples]:
    return [_finite(frame.to_ndarray().mean(axis=0), path) for frame in frames]  # (channels, samples)


def _audio_stream(container: InputContainer, path: Path) -> AudioStream:
    streams = container.streams.audio
    if not streams:
        raise DataError("the file has no audio", file=path)
    return streams[0]


def _finite(block: Samples, path: Path) -> Samples:
    if not np.isfinite(block).all():
        raise DataError("the recording holds samples that are no numbers", file=path)
    return np.ascontiguousarray(block, dtype=np.float32)


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError("no such file", file=path)


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return DataError(f"the audio cannot be decoded: {(reason.splitlines() or [type(error).__name__])[0]}", file=path)
