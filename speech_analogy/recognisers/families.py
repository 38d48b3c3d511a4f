"""The registry of recogniser families: what each declares of itself, so that nobody else asks which one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.recognisers.biasing.building import TextKnowledge
from speech_analogy.recognisers.biasing.options import BiasMethod, TextBias
from speech_analogy.recognisers.model_record import model_type_of, provenance
from speech_analogy.recognisers.protocol import Backend, Compute, Recogniser, Transcriber
from speech_analogy.recognisers.windows import Window, window_of_record

Source = dict[str, Any]
"""Where imported weights come from, for `provenance.json`: base, sha256, window."""


@dataclass(frozen=True)
class FeatureTraits:
    """What a family's features are."""

    kind: Literal["log-mel", "waveform"]
    per_s: int
    """Frames or samples a second."""
    silence_repeats: bool
    """In silence the last frame repeats: so an utterance's features can be kept, and made longer afterwards."""


@dataclass(frozen=True)
class FastBackend:
    """A library other than torch that decodes a family's models, on a processor."""

    computes: tuple[Compute, ...]
    converted: Callable[[Path], bool]
    """Whether the cache holds a model folder's conversion."""
    open_folder: Callable[[Path, str, Compute], Transcriber]
    """(model folder, language, compute)"""
    open_loaded: Callable[[Any, Compute], Transcriber]
    """(a loaded recogniser, of which it takes the weights that it holds now; compute)"""


@dataclass(frozen=True)
class WeightsPackage:
    """Published packages that carry one file of weights: whole, or in parts to be joined."""

    install: str
    parts: tuple[tuple[str, str], ...]  # (module, path inside it)
    sha256: str


@dataclass(frozen=True)
class RecogniserFamily:
    """A family of models and its capabilities; an entry point of `speech_analogy.recogniser_families` names one.

    Its functions import what they need when they are called, so that asking a family costs nothing.
    """

    name: str
    """In messages."""
    model_types: tuple[str, ...]
    """What `config.json` calls it; the entry point has the name of the first."""
    open: Callable[[Path, str, Any], Recogniser]
    """(model folder, language, device)"""
    features: FeatureTraits
    decoder: Literal["autoregressive", "ctc"]
    native_window: Literal["trimmed", "full"]
    """That models are decoded in if they do not record another: `full` where they were trained on 30 s alone."""
    timestamps: bool = False
    """Whether models write time stamps and can be taught to: then they are `TimedRecogniser`s."""
    most_beams: int | None = None
    """None: any number."""
    text_bias: tuple[BiasMethod, ...] = ()
    """How a domain's text can bias decoding: what is loaded is then a `BiasableTranscriber`."""
    text_knowledge: Callable[[Path, str, TextBias], TextKnowledge] | None = None
    """(model folder, language, texts) -> what its tokens say of them."""
    backends: Mapping[Backend, FastBackend] = field(default_factory=dict)
    """Besides torch."""
    training_flops: Callable[[Any, int, int, int, int], int] | None = None
    """(config, utterances, frames of the window, tokens a row, learned tokens) -> operations of a training step."""
    packages: Mapping[str, WeightsPackage] = field(default_factory=dict)
    """Weights packages, by the name after `pip:`."""
    import_package: Callable[[bytes, Path, Path, Source], Path] | None = None
    """(a package's file, its name for errors, the model folder to make, source) -> the model folder."""
    file_formats: Mapping[str, Callable[[Path, Path, Source], Path]] = field(default_factory=dict)
    """By suffix of a file of weights: (file, the model folder to make, source) -> the model folder."""

    @property
    def can_loop(self) -> bool:
        """Whether a transcript can repeat itself; then what is loaded is a `LoopingTranscriber`."""
        return self.decoder == "autoregressive"

    @property
    def can_be_shortened(self) -> bool:
        """Whether a model needs, and can have, its full window distilled into trimmed ones."""
        return self.decoder == "autoregressive" and self.native_window == "full"


FAMILIES: Plugins[RecogniserFamily] = Plugins(
    "speech_analogy.recogniser_families", "family of recognisers", field="model_type", error=CheckpointError
)


def families() -> Iterator[RecogniserFamily]:
    """Every registered family."""
    return map(FAMILIES.load, FAMILIES.names())


def family_of_type(model_type: str | None) -> RecogniserFamily | None:
    """The family that answers to what `config.json` calls a model; None where there is none."""
    names: Sequence[str] = sorted(FAMILIES.names(), key=lambda name: (name != model_type, name))
    return next((family for family in map(FAMILIES.load, names) if model_type in family.model_types), None)


def family_of(model: Path | Transcriber) -> RecogniserFamily:
    """The family of a model folder, or of what was loaded from one.

    Raises:
        CheckpointError: there is no such family, or the folder's config is not JSON.
    """
    model_type = model_type_of(model) if isinstance(model, Path) else model.model_type
    family = family_of_type(model_type)
    if family is None:
        folder = model if isinstance(model, Path) else model.folder
        known = ", ".join(model_type for family in families() for model_type in family.model_types)
        raise CheckpointError(
            "the model's family is not supported",
            file=folder / "config.json",
            field="model_type",
            value=model_type,
            do=f"use a model of {known}" if known else "install this package again: its entry points are missing",
        )
    return family


def native_window(folder: Path) -> Window:
    """The window that a checkpoint decodes well in: the one that it was tuned in, else its family's."""
    record = provenance(folder)
    if "window" not in record:  # a merged model is decoded like the model that was moved
        record = record.get("parents", {}).get("c", {})
    if "window" not in record and (folder / "config.json").is_file():
        family = family_of_type(model_type_of(folder))
        return family.native_window if family is not None else "full"
    return window_of_record(record.get("window"))
