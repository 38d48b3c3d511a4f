"""What speech and texts a recipe is about: one corpus that is divided, or a source and the texts of a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from data_synth.text.sources import TextSource
from speech_analogy.corpora.read import READERS
from speech_analogy.foundation.options import Options


class CorpusOptions(Options):
    """Which recordings."""

    kind: str = Field(description="a registered reader; `speech-analogy corpus import --help` lists them")
    path: str = Field(description="relative to the recipe's folder; `--data` overrides it")
    options: dict[str, Any] = Field(default_factory=dict)


class HoldOut(Options):
    """How much is held out: speakers where a corpus has many, prompts where it has one."""

    speakers: int | None = Field(default=None, ge=1)
    prompts: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.speakers is None) == (self.prompts is None):
            raise ValueError("give either speakers or prompts")
        return self


class SplitOptions(Options):
    """What is source, what is target, what is held out and what is the test."""

    later: ClassVar = ("source_domains", "target_texts")

    target_domains: tuple[str, ...] = Field(min_length=1)
    field: str | None = Field(
        default=None, description="the corpus's own split; None: the target's recordings are the test"
    )
    train: str = "train"
    test: str = "test"
    source_dev: HoldOut = Field(description="real source speech that training parameters and λ are chosen on")
    target_dev: HoldOut | None = Field(default=None, description="target recordings kept out of the test for choosing")
    source_domains: int | None = Field(
        default=None,
        ge=1,
        description="a seeded choice of as many source domains; None: all",
    )
    source_utterances: int | None = Field(default=None, ge=1, description="a seeded subset; None: all")
    target_texts: int | None = Field(
        default=None, ge=1, description="a seeded subset of the distinct texts that C speaks; None: all"
    )


def corpus_of(value: object) -> object:
    """A corpus written as a string, `PATH` or `KIND:PATH`, as the mapping that it stands for; else what was given."""
    if not isinstance(value, str):
        return value
    kind, colon, path = value.partition(":")
    return {"kind": kind, "path": path} if colon and kind in READERS else {"path": value}


class GivenCorpus(Options):
    """A corpus whose kind may be left to the readers; as a string `recordings`, or `nemo:manifest.json`."""

    kind: str | None = Field(default=None, description="a registered reader; None: the one that recognises it")
    path: str = Field(description="relative to the recipe's folder")
    options: dict[str, Any] = Field(default_factory=dict, description="of the reader")

    @model_validator(mode="before")
    @classmethod
    def _from_a_string(cls, value: object) -> object:
        return corpus_of(value)

    def beside(self, folder: Path) -> Path:
        """Where it is, if `folder` is the recipe's."""
        return (folder / Path(self.path).expanduser()).resolve()


class SourceOptions(GivenCorpus):
    """Transcribed recordings of anything: what the difference between real and synthetic speech is learned on."""

    hold_out: HoldOut | None = Field(
        default=None,
        description="what λ is chosen on; None: nothing where stand-ins choose it, else speakers, or prompts where too "
        "few speakers are known",
    )
    utterances: int | None = Field(default=None, ge=1, description="a seeded subset for training; None: all")


class TargetOptions(Options):
    """The domain that is adapted to: its texts, and what else there is of it."""

    name: str | None = Field(default=None, description="None: that of the first file of texts")
    texts: tuple[TextSource, ...] = Field(min_length=1, description="FILE, FILE:COLUMN, or {path, slots, count}")
    use: int | None = Field(default=None, ge=1, description="a seeded subset of the distinct texts; None: all")
    unlabelled: str | None = Field(default=None, description="a folder of its audio without texts: λ is chosen on it")
    test: GivenCorpus | None = Field(default=None, description="its recordings with texts; without, none is measured")

    @field_validator("texts", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str | dict) else value
