"""The round-trip gate: a recogniser other than the one being trained transcribes a clip; characters are compared.

The recogniser is injected by name, so that a worker process can load it; this package knows of none. The gate is
off unless one is named, because it prefers easy words: a rare name that the recogniser does not know is an error of
the recogniser's, and the clip goes (`yields.py` shows which words were lost).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from data_synth.audio.samples import Samples
from data_synth.gates.injection import load_named
from data_synth.text.scored_form import languages_own, scored_form
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.digests import canonical_json
from speech_analogy.foundation.options import Options
from speech_analogy.foundation.plugins import Plugins

RECOGNISER_FIELD = "gates.round_trip.recogniser"  # in errors
RECOGNISERS: Plugins[Any] = Plugins("data_synth.recognisers", "recogniser", RECOGNISER_FIELD)
MODEL_PARAMETER = "model"  # what a recogniser calls the name of its weights
PREFIXES = ("pip:", "openai/")  # of names for the same published weights
TRANSCRIPT_LETTERS = 120  # of a transcript, in a reason


class Transcribe(Protocol):
    """A recogniser: float32 mono samples of shape (samples,) at `rate` Hz in, the words out.

    It may have `identities`, names and fingerprints of its weights (strings), by which it is refused where it is
    the recogniser being trained.
    """

    def __call__(self, samples: Samples, rate: int) -> str:
        """What was said."""
        ...


class RoundTripOptions(Options):
    """Which recogniser listens, and how many of the characters it may get wrong."""

    recogniser: str = Field(
        description="`module:attribute`, or an entry point of `data_synth.recognisers`, with or without the weights "
        "it is to load (`whisper:pip:whisper-base`): a function (samples, rate) -> text, or a class whose instances "
        "are called so"
    )
    parameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="keyword arguments: of the class, or of every call of the function"
    )
    max_character_error_rate: float = Field(default=0.3, gt=0.0, description="errors / characters of the text")
    trained: tuple[str, ...] = Field(
        default=(), description="names, folders and fingerprints of the recogniser being trained: it is refused"
    )


def load_recogniser(options: RoundTripOptions) -> Transcribe:
    """The recogniser that is named, made once a process.

    Raises:
        ConfigError: there is none of this name, it takes no such parameter, or it is the one being trained.
        SynthesisError: it cannot be loaded.
    """
    refuse_trained(options)
    name, model = _weights_of(options.recogniser)
    parameters = {**({} if model is None else {MODEL_PARAMETER: model}), **options.parameters}
    recogniser: Transcribe = load_named(name, RECOGNISERS, canonical_json(parameters))
    _refuse(getattr(recogniser, "identities", ()), options)
    return recogniser


def refuse_trained(options: RoundTripOptions) -> None:
    """Refuse, by what it is called, a recogniser that is being trained; nothing is loaded.

    Raises:
        ConfigError: its name, or that of its weights, is one of `trained`.
    """
    given = [options.recogniser, *(value for value in options.parameters.values() if isinstance(value, str))]
    _refuse([*given, _weights_of(options.recogniser)[1] or options.recogniser], options)


def _weights_of(spec: str) -> tuple[str, str | None]:
    """`whisper:pip:whisper-base` is the entry point `whisper` and the weights that it is to load."""
    name, separator, model = spec.partition(":")
    if separator and name in RECOGNISERS:
        return name, model
    return spec, None


def listen(samples: Samples, rate: int, text: str, language: str, options: RoundTripOptions) -> tuple[float, str]:
    """The character error rate of a clip, and its transcript.

    Args:
        samples: float32 mono, shape (samples,).
        rate: Hz.
        text: what the clip is to say.
        language: of the text, e.g. "en".
        options: which recogniser listens.

    Raises:
        TypeError: the recogniser gave something else than text. Whatever else it raises is passed on.
    """
    transcript = load_recogniser(options)(samples, rate)
    if not isinstance(transcript, str):
        raise TypeError(f"the recogniser must give text, not {type(transcript).__name__}")
    return character_error_rate(text, transcript, language), " ".join(transcript.split())[:TRANSCRIPT_LETTERS]


def character_error_rate(text: str, transcript: str, language: str = "en") -> float:
    """Edits / characters of `text` (jiwer), both normalised; where words are divided does not count.

    The form is the language's own (English: openai-whisper's, number words become digits); a text that it leaves
    nothing of, such as "um", is compared in lower case without punctuation.
    """
    import jiwer  # needed only where a recogniser listens

    form = scored_form(languages_own(language))
    reference, hypothesis = (_letters(form(words)) for words in (text, transcript))
    if not reference:
        reference, hypothesis = _letters(text), _letters(transcript)
    if not reference:
        return 0.0 if not hypothesis else float(len(hypothesis))
    return float(jiwer.cer(reference, hypothesis))


def _letters(text: str) -> str:
    """Letters, digits and marks in lower case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if unicodedata.category(character)[0] in "LNM")


def _refuse(names: Iterable[str], options: RoundTripOptions) -> None:
    trained = {_identity(name): name for name in options.trained}
    for name in names:
        if _identity(name) in trained:
            raise ConfigError(
                "must be another recogniser than the one being trained, which would choose what it knows already",
                field=RECOGNISER_FIELD,
                value=name,
                do="name another, or leave round_trip out",
            )


def _identity(name: str) -> str:
    """A name of weights without what does not distinguish weights; a folder by its resolved path."""
    if Path(name).expanduser().exists():
        return str(Path(name).expanduser().resolve())
    bare = name.strip().casefold()
    for prefix in PREFIXES:
        bare = bare.removeprefix(prefix)
    return bare
