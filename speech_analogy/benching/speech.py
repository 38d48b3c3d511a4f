"""Speech-like noise with texts, for measuring a machine without a corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from lhotse import CutSet, MonoCut, SupervisionSegment
from scipy.signal import lfilter

from speech_analogy.corpora.audio import recording_of
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

# Durations are log-normal, roughly as those of SLURP and other spoken commands are.
MEDIAN_S, SPREAD = 3.0, 0.4  # the spread is of the logarithm
SHORTEST_S, LONGEST_S = 1.0, 8.0
WORDS_PER_S = 2.0  # a median of 6 words
SYLLABLES_HZ = 4.0
SLOPE = 0.9  # of the one-pole low-pass: most energy below 1 kHz
LOUDNESS = 0.05  # root mean square
VOCABULARY = (
    "what is the weather like in london this week please wake me up at seven and play some music then turn off "
    "the lights in kitchen remind my sister about dinner on friday evening"
)
DESCRIPTION = (
    f"speech-shaped noise, log-normal durations with a median of {MEDIAN_S:g} s, "
    f"from {SHORTEST_S:g} to {LONGEST_S:g} s, {WORDS_PER_S:g} words a second"
)


def durations(count: int, seed: int = 0) -> np.ndarray:
    """Seconds, (count,) float64, in no order."""
    drawn = np.random.default_rng(seed).lognormal(np.log(MEDIAN_S), SPREAD, count)
    return np.asarray(np.clip(drawn, SHORTEST_S, LONGEST_S))


def noise(duration_s: float, generator: np.random.Generator) -> np.ndarray:
    """Noise with the spectrum and the syllables of speech, roughly: float32 (samples,), mono, 16 kHz."""
    count = round(duration_s * SAMPLING_RATE_HZ)
    sound = np.asarray(lfilter([1 - SLOPE], [1, -SLOPE], generator.standard_normal(count)))
    beat = np.arange(count) * (SYLLABLES_HZ / SAMPLING_RATE_HZ) + generator.random()
    sound *= 0.5 * (1 - np.cos(2 * np.pi * beat))
    return np.asarray(sound * (LOUDNESS / np.sqrt(np.mean(sound**2))), dtype=np.float32)


def make_speech(folder: Path, seconds: list[float] | np.ndarray, seed: int = 0) -> CutSet:
    """One cut per duration: noise in a WAV file of `folder`, with a text that would take as long to say."""
    folder.mkdir(parents=True, exist_ok=True)
    return CutSet.from_cuts([_cut(folder, index, float(s), seed) for index, s in enumerate(seconds)])


def _cut(folder: Path, index: int, duration_s: float, seed: int) -> MonoCut:
    generator = np.random.default_rng([seed, index])
    name = f"{index:05d}"
    path = folder / f"{name}.wav"
    soundfile.write(path, noise(duration_s, generator), SAMPLING_RATE_HZ)
    recording = recording_of(path, name)
    text = " ".join(generator.choice(VOCABULARY.split(), max(1, round(WORDS_PER_S * duration_s))))
    supervision = SupervisionSegment(
        id=name, recording_id=name, start=0, duration=recording.duration, text=text, speaker=name, language="en"
    )
    return MonoCut(
        id=name, start=0, duration=recording.duration, channel=0, recording=recording, supervisions=[supervision],
        custom={"domain": "noise", "kind": "synthetic"},
    )  # fmt: skip
