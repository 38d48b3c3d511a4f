"""A recording as 16 kHz mono blocks, whatever its format: through libsndfile where that reads it, else FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from data_synth.audio.ffmpeg import FFMPEG_SUFFIXES
from data_synth.audio.samples import Samples
from speech_analogy.errors import DataError
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

if TYPE_CHECKING:
    from av import AudioStream
    from av.container import InputContainer

LIBSNDFILE_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
SOUND_SUFFIXES = (*LIBSNDFILE_SUFFIXES, *FFMPEG_SUFFIXES, ".aiff", ".aif")
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


def sound_blocks(path: Path, channel: int | None = None) -> Iterator[Samples]:
    """The recording in pieces of some seconds: float32 (samples,), 16 kHz.

    Args:
        channel: the one that is heard, counted from 0; None: the mean of all.

    Raises:
        DataError: it is missing, has no audio or no such channel, or cannot be decoded to its end.
    """
    _require(path)
    if path.suffix.lower() in LIBSNDFILE_SUFFIXES:
        try:
            opened = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, OSError, RuntimeError):
            pass
        else:
            yield from _resampled(_read_blocks(opened, path, channel), int(opened.samplerate))
            return
    yield from _ffmpeg_blocks(path, channel)


def _read_blocks(file: soundfile.SoundFile, path: Path, channel: int | None) -> Iterator[Samples]:
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
            yield _one_channel(block.T, channel, path)
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


def _ffmpeg_blocks(path: Path, channel: int | None) -> Iterator[Samples]:
    import av

    try:
        with av.open(str(path)) as container:
            _audio_stream(container, path)
            resampler = av.AudioResampler(format="fltp", rate=SAMPLING_RATE_HZ)  # FFmpeg's own mono adds up
            waiting: list[Samples] = []
            for frame in container.decode(audio=0):
                waiting += [_one_channel(one.to_ndarray(), channel, path) for one in resampler.resample(frame)]
                if sum(map(len, waiting)) >= BLOCK_S * SAMPLING_RATE_HZ:
                    yield np.concatenate(waiting)
                    waiting = []
            waiting += [_one_channel(one.to_ndarray(), channel, path) for one in resampler.resample(None)]
            if waiting:
                yield np.concatenate(waiting)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _one_channel(block: np.ndarray, channel: int | None, path: Path) -> Samples:
    """One channel or the mean of all: (channels, samples) -> (samples,)."""
    if channel is None:
        return _finite(block[0] if len(block) == 1 else block.mean(axis=0), path)
    if channel >= len(block):
        do = "channels are counted from 0"
        raise DataError(f"the audio has no channel {channel}", file=path, value=f"{len(block)} channels", do=do)
    return _finite(block[channel], path)


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
