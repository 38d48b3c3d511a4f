"""Recordings in the formats that telephones and browsers make (m4a, mp4, webm, ...), decoded whole by FFmpeg."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from data_synth.audio.samples import Samples
from speech_analogy.errors import DataError

FFMPEG_SUFFIXES = (".m4a", ".aac", ".mp4", ".webm", ".mkv", ".mov", ".wma", ".amr")
LONGEST_DECODED_S = 3600.0  # of one file; at 48 kHz and in stereo 1.4 GB


def is_for_ffmpeg(path: str | Path) -> bool:
    """By its name."""
    return str(path).lower().endswith(FFMPEG_SUFFIXES)


def decode(path: str | Path) -> tuple[Samples, int]:
    """All samples of a file's first audio stream, float32 (samples, channels), and their rate in Hz.

    The last file is remembered, for the next of its spans. The samples must not be changed.

    Raises:
        DataError: it is missing, holds no audio, cannot be decoded, or lasts more than an hour.
    """
    try:
        state = Path(path).stat()
    except OSError:
        raise DataError("the audio file is missing", file=path) from None
    return _decoded(str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1)
def _decoded(path: str, size: int, changed_ns: int) -> tuple[Samples, int]:
    import av

    pieces: list[np.ndarray] = []  # each (channels, samples)
    try:
        with av.open(path) as container:
            if not container.streams.audio:
                raise DataError("the file has no audio", file=path)
            rate = int(container.streams.audio[0].rate)
            resampler = av.AudioResampler(format="fltp", rate=rate)
            left = LONGEST_DECODED_S * rate
            for frame in container.decode(audio=0):
                pieces += [one.to_ndarray() for one in resampler.resample(frame)]
                left -= frame.samples
                if left < 0:
                    do = "convert it to .flac or .wav, or cut it"
                    rule = f"in this format a recording must last {LONGEST_DECODED_S:g} s at most"
                    raise DataError(rule, file=path, do=do)
            pieces += [one.to_ndarray() for one in resampler.resample(None)]
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"the audio cannot be decoded: {reason.splitlines()[0]}", file=path) from None
    if not pieces:
        raise DataError("the audio has no samples", file=path)
    return np.concatenate(pieces, axis=1).T.astype(np.float32), rate
