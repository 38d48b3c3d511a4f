"""What a text-to-speech engine is to this package: a batch of utterances in, a waveform or a reason each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

from data_synth.audio.samples import Waveform
from data_synth.engines.support.voice_facts import VoiceFacts
from data_synth.engines.support.voice_names import selected, unknown_voice
from speech_analogy.errors import SynthesisError, one_line

Parameters: TypeAlias = Mapping[str, str | int | float]

SPEED_RANGE = (0.25, 4.0)  # times the voice's own pace; beyond it no engine is intelligible


@dataclass(frozen=True)
class Utterance:
    """One clip to be made. `parameters` holds `speed` (1.0 = the voice's own pace) and the engine's own."""

    text: str
    voice: str
    seed: int = 0
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why one utterance of a batch could not be spoken; the rest of the batch is unharmed."""

    reason: str


Outcome: TypeAlias = Waveform | Failure


class Engine(Protocol):
    """A text-to-speech engine, found by name in the entry-point group `data_synth.engines`.

    An engine is made without arguments, once a process; it loads its models when they are first needed.

    Attributes:
        name: its entry point's name; no `:`, `,` or `+`.
        revision: version of the package or program; enters every clip's key.
        deterministic: the same utterance gives the same samples, on one machine, in any order and batch.
        seeded: another seed gives other samples; where it does not, a clip the gates reject is not retried.
        batch_size: how many utterances one call is best given.

    An engine may also have `patience_s`, how many seconds one utterance may take, loading included, before its
    process is ended (120), and `on_gpu`, true where its models are put on a GPU if there is one (false); and what
    `BaseEngine` has beyond this: `about`, `voices_for`, `more_voices`, `languages`, `standing` and `install`.
    """

    name: str
    revision: str
    deterministic: bool
    seeded: bool
    batch_size: int

    def voices(self) -> tuple[str, ...]:
        """The voices taken when none is named."""
        ...

    def resolve(self, selection: str) -> tuple[str, ...]:
        """The voices that `selection` names, such as `slt+rms`; all of `voices()` for an empty one.

        Raises:
            SynthesisError: a name is not one of this engine's voices.
        """
        ...

    def voice_revision(self, voice: str) -> str:
        """`revision`, made more precise where a voice has a version of its own."""
        ...

    def check(self, parameters: Parameters) -> None:
        """Raise SynthesisError for a parameter that this engine does not take."""
        ...

    def synthesize(self, batch: Sequence[Utterance]) -> list[Outcome]:
        """One outcome an utterance, in order. Raising loses the call, not the run: it is then asked one by one."""
        ...


class BaseEngine(ABC):
    """The ordinary parts of an engine that speaks one utterance at a time: a subclass writes `speak`."""

    name: str
    revision: str
    deterministic: bool = True
    seeded: bool = True
    batch_size: int = 8
    parameter_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"speed": SPEED_RANGE}
    languages: ClassVar[tuple[str, ...]] = ()
    """The languages that it has voices for, installed or not; none: not known."""
    standing: ClassVar[int | None] = None
    """Its place among the engines that are taken where none is named: 1 sounds most natural, 3 is for languages that
    nothing else speaks; None: it is slow or needs more than its package, so it speaks only when it is named."""
    install: ClassVar[str] = ""
    """The command that installs it."""
    install_voices: ClassVar[str] = ""
    """How to get more voices, where that is another command."""

    @abstractmethod
    def voices(self) -> tuple[str, ...]:
        """The voices taken when none is named."""

    @abstractmethod
    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance; any exception becomes its Failure."""

    def known_voices(self) -> tuple[str, ...]:
        """All voices that may be named; by default those that are taken when none is."""
        return self.voices()

    def about(self, voice: str) -> VoiceFacts:
        """What is known of a voice; by default the languages of the engine."""
        return VoiceFacts(self.languages)

    def voices_for(self, language: str) -> tuple[str, ...]:
        """The voices taken for texts in a language when none is named; by default those of `voices()` that speak it."""
        return tuple(voice for voice in self.voices() if self.about(voice).speaks(language))

    def is_here(self, voice: str) -> bool:
        """Whether a voice can be used without a download; by default every one can."""
        return True

    def more_voices(self, language: str) -> tuple[str, ...]:
        """Voices beyond `voices_for`, taken when none is named and a text is to have more clips than those are."""
        return ()

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`: names joined by `+`, each one of `known_voices()`."""
        if not selection:
            return self.voices()
        names = selected(selection, ())
        for name in names:
            if name not in self.known_voices():
                raise unknown_voice(self.name, name, self.known_voices())
        return names

    def voice_revision(self, voice: str) -> str:
        """See `Engine.voice_revision`: by default the engine's own."""
        return self.revision

    def check(self, parameters: Parameters) -> None:
        """See `Engine.check`: names and ranges of `parameter_ranges`."""
        for name, value in parameters.items():
            if name not in self.parameter_ranges:
                known = ", ".join(self.parameter_ranges)
                raise SynthesisError("the engine has no such parameter", field=f"{self.name}.{name}", do=f"use {known}")
            low, high = self.parameter_ranges[name]
            if not isinstance(value, int | float) or not low <= value <= high:
                raise SynthesisError(
                    f"must be a number from {low:g} to {high:g}", field=f"{self.name}.{name}", value=value
                )

    def synthesize(self, batch: Sequence[Utterance]) -> list[Outcome]:
        """See `Engine.synthesize`."""
        return [self._outcome(utterance) for utterance in batch]

    def _outcome(self, utterance: Utterance) -> Outcome:
        try:
            return self.speak(utterance)
        except Exception as error:  # an engine's fault is this clip's reason, whatever it is
            return Failure(one_line(error))


class BatchEngine(BaseEngine):
    """The ordinary parts of an engine that speaks several utterances at once: a subclass writes `synthesize`."""

    @abstractmethod
    def synthesize(self, batch: Sequence[Utterance]) -> list[Outcome]:
        """See `Engine.synthesize`."""

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance.

        Raises:
            RuntimeError: it failed; the message is the reason.
        """
        [outcome] = self.synthesize([utterance])
        if isinstance(outcome, Failure):
            raise RuntimeError(outcome.reason)
        return outcome


def number(parameters: Parameters, name: str, default: float) -> float:
    """A numeric parameter, or its default."""
    return float(parameters.get(name, default))


def facts_of(engine: Engine, voice: str) -> VoiceFacts:
    """What an engine knows of a voice; nothing where it is no `BaseEngine`."""
    return engine.about(voice) if isinstance(engine, BaseEngine) else VoiceFacts()


def voices_for(engine: Engine, language: str) -> tuple[str, ...]:
    """The voices that an engine takes for texts in a language when none is named."""
    return engine.voices_for(language) if isinstance(engine, BaseEngine) else engine.voices()


def more_voices(engine: Engine, language: str) -> tuple[str, ...]:
    """Its voices beyond those."""
    return engine.more_voices(language) if isinstance(engine, BaseEngine) else ()
