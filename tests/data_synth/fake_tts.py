"""An engine whose every fault can be asked for by the voice's name; the tests install it as a plug-in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import numpy as np

from data_synth.engines import BaseEngine, Failure, Outcome, Utterance, Waveform

RATE = 16_000
SECONDS_PER_CHARACTER = 0.07
GRACE_CHARACTERS = 4
SLOW_S = 0.02
POISON = "poison"  # the word that crashes and hangs some voices


class FakeEngine(BaseEngine):
    """A tone of the seed's pitch, as long as the text would take; or the fault that the voice is named for."""

    name = "fake"
    revision = "fake 1"
    batch_size = 4

    def voices(self) -> tuple[str, ...]:
        return ("low", "high")

    def known_voices(self) -> tuple[str, ...]:
        faults = ("raises", "nan", "silent", "empty", "clipped", "flaky", "batch", "short", "slow", "talks")
        faults += ("dies", "dies_at_odd_seeds", "crashes", "hangs")
        return (*self.voices(), *faults)

    def synthesize(self, batch: Sequence[Utterance]) -> list[Outcome]:
        if len(batch) > 1 and batch[0].voice == "batch":
            raise RuntimeError("the batch is lost")
        outcomes = super().synthesize(batch)
        return outcomes[:-1] if len(batch) > 1 and batch[0].voice == "short" else outcomes

    def speak(self, utterance: Utterance) -> Waveform:
        samples = tone(utterance)
        match utterance.voice:
            case "raises":
                raise ValueError("no such word")
            case "dies":
                os._exit(3)
            case "dies_at_odd_seeds" if utterance.seed % 2:
                os._exit(3)
            case "crashes" if POISON in utterance.text:
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hangs" if POISON in utterance.text:
                time.sleep(3600)
            case "talks":
                print("speaking", flush=True)
                os.write(1, b"\x80speaking\n")
            case "nan":
                samples[len(samples) // 2] = np.nan
            case "silent":
                samples *= 0
            case "empty":
                samples = samples[:0]
            case "clipped":
                samples = np.clip(samples * 100, -1, 1)
            case "flaky" if utterance.seed % 2:
                samples *= 0
            case "slow":
                time.sleep(SLOW_S)
        return Waveform(samples, RATE)


class UnseededEngine(FakeEngine):
    """As FakeEngine, but it says that seeds change nothing."""

    name = "unseeded"
    seeded = False


def tone(utterance: Utterance) -> np.ndarray:
    characters = sum(character.isalnum() for character in utterance.text) + GRACE_CHARACTERS
    seconds = SECONDS_PER_CHARACTER * characters / float(utterance.parameters.get("speed", 1.0))
    pitch = 100 + utterance.seed % 1000 + (500 if utterance.voice == "high" else 0)
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


__all__ = ["Failure", "FakeEngine", "UnseededEngine", "tone"]
