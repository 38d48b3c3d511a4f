"""Another mouth for the same words: speed, tempo, pitch and formants of a clip.

Tempo and pitch are Signalsmith Stretch's (python-stretch, MIT). Formants are moved here, by the spectral envelope,
for no library of a permissive licence does that without resynthesis by a vocoder.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

from data_synth.audio.samples import Samples
from speech_analogy.foundation.packages import optional_package

OCTAVE_SEMITONES = 12  # an octave
SPECTRUM_FRAME_S, HOPS = 0.032, 4  # of the short-time spectrum; hops a frame
ENVELOPE_S = 0.002  # quefrency: what varies more slowly over frequency is the vocal tract and not the pitch
ENVELOPE_ROUNDS = 8  # of the true envelope
GAIN_LIMIT = math.log(10 ** (30 / 20))  # 30 dB: an envelope's valley is not lifted further
FLOOR = 1e-7  # of a magnitude, against the logarithm of 0


def change_voice(
    samples: Samples,
    rate: int,
    *,
    speed: float = 1.0,
    tempo: float = 1.0,
    pitch_semitones: float = 0.0,
    formants: float = 1.0,
) -> Samples:
    """The same words by another voice: float32, of `changed_length(...)` samples, at the same rate.

    Args:
        samples: float32 mono (samples,).
        rate: Hz.
        speed: times as fast by resampling: pitch and formants go with it (Ko et al., "Audio augmentation for
            speech recognition", Interspeech 2015).
        tempo: times as fast; pitch and formants stay.
        pitch_semitones: up or down; tempo and formants stay.
        formants: their frequencies times this, as of a shorter or longer vocal tract; tempo and pitch stay.

    Raises:
        ConfigError: tempo or pitch are to change and python-stretch is not installed.
    """
    count = changed_length(len(samples), speed, tempo)
    if speed != 1.0:
        samples = soxr.resample(samples, rate * speed, rate)
    pitch = 2 ** (pitch_semitones / OCTAVE_SEMITONES)
    if tempo != 1.0 or pitch != 1.0:
        samples = _stretch(samples, rate, tempo, pitch)
    if formants != pitch:
        samples = move_formants(samples, rate, formants / pitch)
    return np.pad(samples, (0, max(0, count - len(samples))))[:count].astype(np.float32)


def changed_length(count: int, speed: float, tempo: float) -> int:
    """Samples of a clip of `count` samples afterwards; at least one."""
    return max(1, math.floor(count / (speed * tempo) + 0.5))


def move_formants(samples: Samples, rate: int, ratio: float) -> Samples:
    """The spectral envelope stretched over frequency by `ratio`; pitch, phase, length and level stay: (samples,).

    The envelope is the "true envelope" (Röbel & Rodet, "Efficient spectral envelope estimation and its application
    to pitch shifting and envelope preservation", DAFx 2005).
    """
    from scipy.signal import ShortTimeFFT, get_window  # slow to import, and most runs change no voice

    size = 2 ** math.ceil(math.log2(SPECTRUM_FRAME_S * rate))
    transform = ShortTimeFFT(get_window("hann", size), size // HOPS, rate, fft_mode="onesided")
    padded = np.pad(samples.astype(np.float64), (0, max(0, size - len(samples))))
    spectrum = transform.stft(padded)  # (bins, frames)
    envelope = _envelope(np.log(np.abs(spectrum) + FLOOR), size, round(ENVELOPE_S * rate))
    last = len(envelope) - 1
    source = np.minimum(np.arange(last + 1) / ratio, last)  # the bin that each bin's envelope comes from
    below = np.minimum(source.astype(int), last - 1)
    share = (source - below)[:, None]
    moved = (1 - share) * envelope[below] + share * envelope[below + 1]
    gain = np.exp(np.clip(moved - envelope, -GAIN_LIMIT, GAIN_LIMIT))
    out = transform.istft(spectrum * gain, k1=len(padded))[: len(samples)]
    power = float(np.mean(np.square(out)))
    level = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))) / power) if power else 1.0
    return np.asarray(out * level, dtype=np.float32)


def _envelope(log_spectrum: NDArray[np.float64], size: int, kept: int) -> NDArray[np.float64]:
    """What varies slowly over frequency, through the harmonics' peaks: (bins, frames), natural logarithms.

    A cepstrum is cut to its low end, again and again, what lies below the last envelope being lifted up to it.
    """
    envelope = np.full_like(log_spectrum, -np.inf)
    for _ in range(1 + ENVELOPE_ROUNDS):
        cepstrum = np.fft.irfft(np.maximum(log_spectrum, envelope), axis=0)  # (size, frames)
        cepstrum[kept : size - kept + 1] = 0.0
        envelope = np.fft.rfft(cepstrum, axis=0).real
    return envelope


def _stretch(samples: Samples, rate: int, tempo: float, pitch: float) -> Samples:
    """Signalsmith Stretch in its preset, with a fixed seed: what is drawn for a clip is drawn before."""
    library = optional_package("python_stretch", "python-stretch", "another tempo or pitch", "channel")
    stretch = library.Signalsmith.Stretch(0)
    stretch.preset(1, float(rate))
    stretch.setTimeFactor(tempo)
    stretch.setTransposeFactor(pitch)
    return np.asarray(stretch.process(np.ascontiguousarray(samples[None], dtype=np.float32))[0])
