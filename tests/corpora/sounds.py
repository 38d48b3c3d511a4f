"""Small audio files for the tests of the readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
SHARED = Path(__file__).parents[2] / "../shared/data"


def tone(seconds: float = 0.5, rate: int = RATE_HZ, hertz: float = 440.0, channels: int = 1) -> np.ndarray:
    """A sine at half of full scale, float32 (samples,) or (samples, channels); channel k has k+1 times the pitch."""
    time = np.arange(round(seconds * rate)) / rate
    waves = [0.5 * np.sin(2 * np.pi * hertz * (k + 1) * time) for k in range(channels)]
    return np.stack(waves, axis=1).squeeze().astype(np.float32)


def write_tone(path: Path, seconds: float = 0.5, rate: int = RATE_HZ, **options: float) -> Path:
    """Write a tone in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opus = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    soundfile.write(path, tone(seconds, rate, **options), rate, **opus)
    return path


def write_by_ffmpeg(path: Path, samples: np.ndarray, rate: int = 48_000) -> Path:
    """Samples, (samples,) or (samples, 2), as AAC or, in .webm, Opus."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    layout = "mono" if samples.ndim == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(np.atleast_2d(samples.T)), format="fltp", layout=layout)
        frame.sample_rate = rate
        fifo = av.AudioFifo()
        fifo.write(av.AudioResampler(format=stream.format, layout=layout, rate=rate).resample(frame)[0])
        while (piece := fifo.read(stream.frame_size or 1024, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def write_silence_of_no_length(path: Path) -> Path:
    """A valid WAV header and not one sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(0, dtype=np.float32), RATE_HZ)
    return path
