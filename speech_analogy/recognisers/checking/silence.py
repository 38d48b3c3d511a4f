"""Silence: audio that is too quiet for speech, and transcripts that a decoder itself hardly believes."""

from __future__ import annotations

import numpy as np

from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

SILENCE_DBFS = -60.0  # of the loudest frame; the quietest utterance of speechocean762's training part reaches -28
FRAME_S = 0.02
NO_SPEECH = 0.6  # openai-whisper's no_speech_threshold: probability of <|nospeech|>
BELIEVED = -1.0  # openai-whisper's logprob_threshold: mean log-probability of a transcript's tokens


def level_dbfs(waveform: np.ndarray) -> float:
    """Root mean square of the loudest 20 ms, in dB below full scale; -inf of digital silence and of no audio.

    Args:
        waveform: float32, mono, 16 kHz, (samples,).
    """
    size = round(FRAME_S * SAMPLING_RATE_HZ)
    padded = np.pad(waveform, (0, -len(waveform) % size))
    if not len(padded):
        return -float("inf")
    power = np.square(padded.reshape(-1, size), dtype=np.float64).mean(axis=1).max()
    return float(10 * np.log10(power)) if power > 0 else -float("inf")


def is_silent(waveform: np.ndarray) -> bool:
    """Whether audio is too quiet to hold speech."""
    return level_dbfs(waveform) < SILENCE_DBFS
