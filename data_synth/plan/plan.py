"""What is to be made: texts with their clips, in order, as a stream that may be read again and is never a list."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, tee
from typing import TYPE_CHECKING, Protocol

from data_synth.engines import load_engine
from data_synth.gates.judge import is_speakable
from data_synth.plan.casting import CastVoice, cast, clip_seed, voice_ranges
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.voices import Voice
from data_synth.text.fingerprints import Fingerprints
from data_synth.text.spoken import spoken_form
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.digests import canonical_json

if TYPE_CHECKING:
    from data_synth.plan.options import SynthesisOptions

_SHARD = re.compile(r"([0-9]+)/([0-9]+)")
_OF_THE_MACHINE = {"workers", "isolated", "timeout_s", "keep_rejected"}  # options that change no clip


class Texts(Protocol):
    """Texts that can be counted and gone through again and again: a list, or a `TextFile`."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __iter__(self) -> Iterator[Text]:
        """The texts, in the same order every time."""
        ...


@dataclass(frozen=True)
class Shard:
    """The part of a run that one of several machines makes: number `number` (from 1) of `of`."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        """Raise ConfigError where there is no such shard."""
        if not 1 <= self.number <= self.of:
            raise ConfigError("must be I/N with 1 <= I <= N", field="shard", value=str(self))

    def __str__(self) -> str:
        """`2/4`."""
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that `2/4` names.

        Raises:
            ConfigError: it names none.
        """
        found = _SHARD.fullmatch(text)
        if found is None:
            raise ConfigError("must be I/N with 1 <= I <= N", field="shard", value=text, do="write 2/4, for example")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class TextPlan:
    """One text and the clips it is to have; none where there is nothing to be said in it.

    `number` counts the texts of the whole list that can be spoken, from 0, or those that cannot.
    """

    text: Text
    number: int
    parts: tuple[CastVoice, ...]
    plan: SynthesisPlan = field(repr=False)

    @cached_property
    def spoken(self) -> str:
        """What an engine is given to say."""
        return self.plan.spoken(self.text)

    @cached_property
    def clips(self) -> tuple[ClipPlan, ...]:
        """The clips, in the order of the cuts; put together when they are first asked for."""
        return tuple(self.plan.clip(self.text, self.spoken, part) for part in self.parts)


class SynthesisPlan:
    """The texts of a run, or of one shard of it, with their clips.

    Voices are balanced over the whole list, so that the shards together are the plan of one run. Texts that can be
    spoken are dealt out in blocks of `texts_per_block`: the first block to shard 1, the second to shard 2, and so on.

    Attributes:
        texts: texts of this shard.
        clips: clips asked for by this shard.

    Raises:
        DataError: there is no text, or two have the same id.
    """

    def __init__(
        self,
        texts: Texts,
        voices: Sequence[Voice],
        options: SynthesisOptions,
        shard: Shard | None = None,
        texts_per_block: int = 1,
        further: Sequence[Sequence[Voice]] = (),
    ) -> None:
        self.shard, self.texts_per_block = shard or Shard(), texts_per_block
        self._texts, self._voices, self._further, self._options = texts, voices, further, options
        self._revisions = {voice: voice.revision for voice in chain(voices, *further)}
        self._seeded = {voice: load_engine(voice.engine).seeded for voice in self._revisions}
        self._count()

    def __iter__(self) -> Iterator[TextPlan]:
        """The texts of this shard, in the order of the list."""
        options = self._options
        listed, asked = tee((text, self._is_speakable(text)) for text in self._texts)
        ids = (text.id for text, speakable in asked if speakable)
        ranges = voice_ranges(options.voices, tuple(self._revisions))
        asked_for = options.voices_per_text, options.seed, options.speed
        parts = cast(ids, self._voices, *asked_for, ranges, self._further)
        spoken_before = silent_before = 0
        for text, speakable in listed:
            if speakable:
                its_parts = tuple(next(parts))
                if self._is_ours(spoken_before):
                    yield TextPlan(text, spoken_before, its_parts, self)
                spoken_before += 1
            else:
                if silent_before % self.shard.of == self.shard.number - 1:
                    yield TextPlan(text, silent_before, (), self)
                silent_before += 1

    def clip(self, text: Text, spoken: str, part: CastVoice) -> ClipPlan:
        """One clip of a text."""
        options, voice = self._options, part.voice
        return ClipPlan(
            text_id=text.id,
            text=text.text,
            spoken=spoken,
            domain=text.domain,
            engine=voice.engine,
            voice=voice.label,
            variant=voice.variant,
            revision=self._revisions[voice],
            parameters={**options.parameters.get(voice.engine, {}), **part.parameters},
            seeds=tuple(clip_seed(options.seed, text.id, part, n) for n in range(options.attempts)),
            seeded=self._seeded[voice],
            channel=options.channel,
        )

    def digest(self) -> str:
        """A sha256 of all that decides about clips: texts, voices and their versions, options."""
        hashed = hashlib.sha256()
        options = self._options.model_dump(mode="json", exclude=_OF_THE_MACHINE)
        voices = [[str(voice), revision] for voice, revision in self._revisions.items()]
        for part in chain([[options, voices]], ([text.id, text.text, text.domain] for text in self._texts)):
            hashed.update(canonical_json(part).encode("utf-8") + b"\n")
        return hashed.hexdigest()

    def spoken(self, text: Text) -> str:
        """What an engine is given to say for a text."""
        return spoken_form(text.text, self._options.language, self._options.spoken)

    def _is_speakable(self, text: Text) -> bool:
        return is_speakable(text.text) or is_speakable(self.spoken(text))  # "%" is spoken "percent"

    def _is_ours(self, number: int) -> bool:
        return number // self.texts_per_block % self.shard.of == self.shard.number - 1

    def _count(self) -> None:
        ids = Fingerprints()
        spoken = silent = ours = silent_ours = 0
        for text in self._texts:
            ids.add(text.id)
            if self._is_speakable(text):
                ours += self._is_ours(spoken)
                spoken += 1
            else:
                silent_ours += silent % self.shard.of == self.shard.number - 1
                silent += 1
        if not spoken + silent:
            raise DataError("there is no text to speak", field="texts")
        repeated = ids.repeated()
        if repeated.any():
            place = int(repeated.argmax())
            common = next(text.id for number, text in enumerate(self._texts) if number == place)
            raise DataError("ids of texts must be distinct", field="id", value=common)
        self.texts = ours + silent_ours
        self.clips = ours * self._options.voices_per_text
