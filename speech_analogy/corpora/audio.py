"""The samples behind a cut, and the recording behind a file: the one place where corpora touch audio.

Everything goes through libsndfile (wav, flac, ogg, opus, mp3) or FFmpeg (m4a, mp4, webm, ...), so nothing here needs
torchaudio.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from lhotse import AudioSource, Recording

from data_synth.audio.ffmpeg import decode, is_for_ffmpeg
from data_synth.audio.samples import Samples
from speech_analogy.corpora.cut_checks import require_files, require_length, require_recording
from speech_analogy.corpora.shar.clips import SHAR_SOURCE, Clip
from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.plain import is_file

WHISPER_RATE_HZ = 16_000
OGG_SUFFIXES = (".ogg", ".opus", ".oga")
SHORTFALL_TOLERANCE_S = 0.025  # Lhotse's own default
NOT_FINITE = "a sample is no finite number (NaN or infinity)"
DECODE_BLOCK_SAMPLES = 1 << 20  # per channel; bounds the memory that `decoded_samples` needs


def load_audio(cut: Any, sampling_rate: int = WHISPER_RATE_HZ) -> Samples:
    """The samples of one cut, mono, at `sampling_rate`.

    Cuts of one plain file, or of one clip in a shard, are read by libsndfile directly, from `cut.start` for
    `cut.duration`; any other cut (mixed, padded, augmented) goes through Lhotse. A MonoCut gives its one channel; of
    cuts with several the channels are averaged.

    Args:
        cut: a Lhotse cut with a recording.
        sampling_rate: Hz.

    Returns:
        float32 (samples,), nominally in [-1, 1].

    Raises:
        DataError: the audio is missing, cannot be decoded, holds NaN or infinity, is shorter than the cut, or is not
            the recording that the cut was made of.
    """
    path, clip = _plain_file(cut), _clip(cut)
    if clip is not None:
        samples, rate = _read_clip(clip, cut)
    elif path is None:
        samples, rate = _through_lhotse(cut), int(cut.sampling_rate)
    else:
        samples, rate = _read_span(path, cut)
    if rate != sampling_rate:
        samples = soxr.resample(samples, rate, sampling_rate)
    found = np.ascontiguousarray(samples, dtype=np.float32)
    if not np.isfinite(found).all():
        raise DataError(NOT_FINITE, file=path or cut.id, do="repair or remove it")
    return found


def recording_of(path: Path, recording_id: str) -> Recording:
    """A Lhotse recording of one file: rate, channels and length from the header, the path absolute.

    Raises:
        DataError: the file is missing, or libsndfile cannot read its header.
    """
    header = _header(path)
    return Recording(
        id=recording_id,
        sources=[AudioSource(type="file", channels=list(range(header.channels)), source=str(path.resolve()))],
        sampling_rate=header.samplerate,
        num_samples=header.frames,
        duration=header.frames / header.samplerate,  # seconds
    )


def require_recordings(cut: Any) -> None:
    """`require_recording` for every unaltered file that a cut is made of, mixed ones' too.

    Raises:
        DataError: see there; or a file is missing.
    """
    for part in [track.cut for track in cut.tracks] if hasattr(cut, "tracks") else [cut]:
        path = _plain_file(part)
        if path is not None:
            header = _header(Path(path))
            require_recording(path, header.frames, header.samplerate, part)


def decodes_fast(recording: Recording) -> bool:
    """Whether decoding the file costs little, and is not done anyway.

    All formats but Ogg, whose header check reads its end, and those of FFmpeg, which are decoded for their length.
    """
    path = str(recording.sources[0].source)
    return not (path.lower().endswith(OGG_SUFFIXES) or is_for_ffmpeg(path))


def decoded_samples(path: Path) -> int:
    """How many samples per channel really decode, which a truncated file's header does not show.

    Raises:
        DataError: decoding fails, or a sample is NaN or infinite.
    """
    if is_for_ffmpeg(path):
        samples, _ = decode(path)
        if not np.isfinite(samples).all():
            raise DataError(NOT_FINITE, file=path, do="repair or remove it")
        return len(samples)
    try:
        with soundfile.SoundFile(path) as file:
            count = 0
            while len(block := file.read(DECODE_BLOCK_SAMPLES, dtype="float32")):
                if not np.isfinite(block).all():
                    raise DataError(NOT_FINITE, file=path, do="repair or remove it")
                count += len(block)
            return count
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise _undecodable(path, error) from None


class Header(NamedTuple):
    """What a file says of itself: samples a channel, Hz, channels."""

    frames: int
    samplerate: int
    channels: int


def _header(path: Path) -> Header:
    if not is_file(path):
        raise DataError("the audio file is missing", file=path)
    if is_for_ffmpeg(path):
        samples, rate = decode(path)
        return Header(len(samples), rate, samples.shape[1])
    try:
        found = soundfile.info(str(path))
        return Header(int(found.frames), int(found.samplerate), int(found.channels))
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise _undecodable(path, error) from None


def _plain_file(cut: Any) -> str | None:
    """The path of a cut that is a span of one unaltered file, else None."""
    recording = getattr(cut, "recording", None)
    if recording is None or recording.transforms or len(recording.sources) != 1:
        return None
    source = recording.sources[0]
    return source.source if source.type == "file" else None


def _clip(cut: Any) -> Clip | None:
    """The place of a cut that is a span of one unaltered clip in a shard, else None."""
    recording = getattr(cut, "recording", None)
    if recording is None or recording.transforms or len(recording.sources) != 1:
        return None
    source = recording.sources[0]
    return Clip.named(str(source.source)) if source.type == SHAR_SOURCE else None


def _read_span(path: str, cut: Any) -> tuple[Samples, int]:
    """Read `cut`'s span of a file: float32 (samples,), and the file's rate in Hz."""
    if not is_file(Path(path)):  # a pipe would never end
        raise DataError("the audio file is missing", file=path)
    if is_for_ffmpeg(path):
        decoded, rate = decode(path)
        require_recording(path, len(decoded), rate, cut)
        start = round(cut.start * rate)
        span = decoded if _is_whole(cut) else decoded[start : start + round(cut.duration * rate)]
        _refuse_short(span, rate, path, cut)
        return _mono(span, cut), rate
    try:
        with soundfile.SoundFile(path) as file:
            require_recording(path, file.frames, file.samplerate, cut)
            return _span(file, path, cut), file.samplerate
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError) as error:
        if not is_file(Path(path)):
            raise DataError("the audio file is missing", file=path) from None
        raise _undecodable(Path(path), error) from None


def _read_clip(clip: Clip, cut: Any) -> tuple[Samples, int]:
    """Read `cut`'s span of a clip in a shard: float32 (samples,), and the clip's rate in Hz."""
    content = clip.read()
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            require_length(clip.tar, file.frames, file.samplerate, cut, any_rate=file.format == "OGG")
            return _span(file, str(clip.tar), cut), file.samplerate
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError) as error:
        raise _undecodable(clip.tar, error, cut.id) from None


def _is_whole(cut: Any) -> bool:
    """Whether a cut is all of its recording."""
    return bool(cut.start == 0 and abs(cut.duration - cut.recording.duration) < 0.5 / cut.recording.sampling_rate)


def _span(file: soundfile.SoundFile, path: str, cut: Any) -> Samples:
    whole = _is_whole(cut)
    start = 0 if whole else round(cut.start * file.samplerate)
    frames = file.frames if whole else round(cut.duration * file.samplerate)
    skipped = 0 if file.seekable() else start  # GSM 6.10 is decoded from its start
    file.seek(start - skipped) if start > skipped else None
    samples = file.read(skipped + frames, dtype="float32", always_2d=True)[skipped:]  # (samples, channels)
    _refuse_short(samples, file.samplerate, path, cut)
    return _mono(samples, cut)


def _refuse_short(samples: np.ndarray[Any, Any], rate: int, path: str, cut: Any) -> None:
    """A file that holds less than the cut says was truncated or replaced since the cut was made."""
    decoded_s = len(samples) / rate
    if decoded_s < cut.duration - SHORTFALL_TOLERANCE_S:
        rule = f"the audio is shorter than its cut, which lasts {cut.duration:.3f} s"
        raise DataError(rule, file=path, value=f"{decoded_s:.3f} s", do="import the corpus again")


def _mono(samples: np.ndarray[Any, Any], cut: Any) -> Samples:
    """Keep the cut's channels and average them: (samples, channels) -> (samples,)."""
    channels = [cut.channel] if isinstance(cut.channel, int) else list(cut.channel)
    declared = list(cut.recording.sources[0].channels)
    picked = [declared.index(channel) for channel in channels]
    mono: Samples = samples[:, picked[0]] if len(picked) == 1 else samples[:, picked].mean(axis=1)
    return mono


def _through_lhotse(cut: Any) -> Samples:
    require_files(cut)
    require_recordings(cut)
    try:
        samples = cut.load_audio()
    except Exception as error:  # Lhotse raises whatever its backends raise
        raise DataError(f"the cut's audio cannot be loaded: {_first_line(error)}", field=cut.id) from None
    if samples is None:
        raise DataError("the cut has no recording", field=cut.id)
    mono: Samples = np.asarray(samples, dtype=np.float32).mean(axis=0)  # (channels, samples) -> (samples,)
    return mono


def _undecodable(path: Path, error: Exception, field: str | None = None) -> DataError:
    reason = getattr(error, "error_string", None) or _first_line(error)
    return DataError(f"the audio cannot be decoded: {reason}", file=path, field=field)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
