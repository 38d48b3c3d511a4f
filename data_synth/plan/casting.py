"""Which voice speaks which text, how fast: seeded, balanced, the same in every process.

What holds: every voice is used equally often (counts differ by one at most), after every text; the voices of
one text are distinct while there are enough of them, further ones and variants included; appending texts to the
list changes nothing for those before them. A text put in, or taken out, further up may change the voices of the
texts after it, for balance is kept over the whole list; a clip whose text and voice are as before keeps its speed,
seed and key.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from data_synth.engines import load_engine
from data_synth.plan.voices import Voice
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.options import Range, draw, ends
from speech_analogy.foundation.suggest import nearest

REPEAT_SPEED = (0.9, 1.1)  # speeds drawn when a voice must speak a text again, or is a variant, and no range was given
SPEED_DIGITS = 3  # decimals


Ranges: TypeAlias = Mapping[Voice, Mapping[str, Range]]
"""Voice -> parameter of its engine -> what is drawn for every clip."""


@dataclass(frozen=True)
class CastVoice:
    """One clip a text is to have. `take` counts how often this voice has spoken this text before.

    `drawn` holds the other parameters of its engine that were drawn for it, by name.
    """

    voice: Voice
    take: int
    speed: float
    drawn: tuple[tuple[str, float], ...] = ()

    @property
    def parameters(self) -> dict[str, float]:
        """What the clip's engine is to be given beside what all its clips are."""
        return {**dict(self.drawn), "speed": self.speed}


def cast(
    text_ids: Iterable[str],
    voices: Sequence[Voice],
    voices_per_text: int,
    seed: int,
    speed: tuple[float, float] = (1.0, 1.0),
    ranges: Ranges = MappingProxyType({}),
    further: Sequence[Sequence[Voice]] = (),
) -> Iterator[list[CastVoice]]:
    """The parts of every text, one text at a time: `voices_per_text` clips each, in the least used voices.

    A million texts are cast in the memory of one.

    Args:
        text_ids: the texts, in order; what a text is given depends on its id and on the texts before it.
        voices: distinct voices.
        voices_per_text: clips per text. Above the number of voices every voice speaks once before one speaks again,
            then with another seed.
        seed: of the run.
        speed: lowest and highest speed (1.0 = the voice's own); drawn for every clip. Where it is one number, a voice
            that speaks again, and a variant, are given one of 0.9 to 1.1.
        ranges: of single voices, `speed` before the one above; see `voice_ranges`.
        further: voices that speak when all before them have, tier by tier; each tier is balanced in itself.
    """
    used = Counter[Voice]()
    for text_id in text_ids:
        dice = random.Random(derive(seed, "voices", text_id))
        in_turn: list[Voice] = []
        for tier in (voices, *further):
            tie_breaks = {voice: dice.random() for voice in tier}
            in_turn += sorted(tier, key=lambda voice: (used[voice], tie_breaks[voice]))
        picked = [(in_turn[clip % len(in_turn)], clip // len(in_turn)) for clip in range(voices_per_text)]
        used.update(voice for voice, _ in picked)
        yield [_role(text_id, voice, take, seed, speed, ranges.get(voice, {})) for voice, take in picked]


def voice_ranges(given: Mapping[str, Mapping[str, Range]], voices: Sequence[Voice]) -> Ranges:
    """What is said of engines (`espeak-ng`) and of voices (`espeak-ng:en-us`), which comes first, for each voice.

    What is said of a voice holds for its variants too.

    Raises:
        ConfigError: something is said of an engine or a voice that is not among `voices` (the nearest is named).
    """
    names = {name for voice in voices for name in (voice.engine, str(voice.plain), str(voice))}
    for name in given:
        if name not in names:
            rule = "no such voice or engine is among those that speak"
            raise ConfigError(rule, field="voices", value=name, do=nearest(name, names))
    return {
        voice: {
            name: value
            for one in (voice.engine, str(voice.plain), str(voice))
            for name, value in given.get(one, {}).items()
        }
        for voice in voices
    }


def check_ranges(ranges: Ranges, parameters: Mapping[str, Mapping[str, int | float | str]]) -> None:
    """Have each engine check both ends of its voices' ranges, with its other parameters.

    Raises:
        SynthesisError: an engine has no such parameter, or does not take the value.
    """
    for voice, its in ranges.items():
        for end in (0, 1):
            drawn = {name: ends(value)[end] for name, value in its.items()}
            load_engine(voice.engine).check({**parameters.get(voice.engine, {}), **drawn})


def clip_seed(seed: int, text_id: str, part: CastVoice, attempt: int) -> int:
    """The seed given to the engine for one attempt at one clip."""
    return derive(seed, "clip", text_id, str(part.voice), part.take, attempt)


def _role(
    text_id: str, voice: Voice, take: int, seed: int, speed: tuple[float, float], its: Mapping[str, Range]
) -> CastVoice:
    drawn = tuple(
        (name, draw(value, seed, "voice", name, text_id, str(voice), take))
        for name, value in its.items()
        if name != "speed"
    )
    if "speed" in its:
        low, high = ends(its["speed"])
    else:
        low, high = REPEAT_SPEED if (take > 0 or voice.variant) and speed[0] == speed[1] else speed
    share = random.Random(derive(seed, "speed", text_id, str(voice), take)).random()
    return CastVoice(voice, take, round(low + share * (high - low), SPEED_DIGITS), drawn)
