"""Recipes: what an experiment is, read from YAML, checked key by key, changed by `--set key=value`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from data_synth.channel.chain import ChannelOptions
from data_synth.plan.options import SynthesisOptions
from speech_analogy.adaptation.decoder_options import OtherDecodersOptions
from speech_analogy.adaptation.extends import read_source
from speech_analogy.adaptation.stand_in_options import StandInOptions
from speech_analogy.adaptation.vector_options import GivenVector
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.options import Options, config_error
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.protocol import Backend, Compute
from speech_analogy.recognisers.windows import Window
from speech_analogy.systems.catalogue import (
    DEFAULT_SYSTEMS,
    SystemName,
    has_model,
    needs_adapters,
    needs_target_recordings,
    trained_systems,
)
from speech_analogy.training.options import FinetuneOptions

Strategy = Literal["fixed", "source_dev", "leave_one_domain_out", "agreement"]
UnlabelledPart = Literal["target_train", "target_dev", "source_dev"]
Part = Literal["source_dev", "target_dev"]
EvaluatedPart = Literal["test", "source_dev", "target_dev"]
AUTO = "auto"  # as `publish`


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


class RecipeChannel(Options):
    """A simulated channel on the real side; the synthetic side never sees it."""

    options: ChannelOptions
    train_copies: int = Field(default=1, ge=1, description="of every source training prompt, each its own seed")
    test_copies: int = Field(default=1, ge=1, description="of every held-out and test prompt, each its own seed")


class RecipeSynthesis(Options):
    """How source texts (A) and target texts (C) are spoken."""

    source: SynthesisOptions
    target: SynthesisOptions

    @field_validator("source", "target")
    @classmethod
    def _has_one_file_per_clip(cls, options: SynthesisOptions) -> SynthesisOptions:
        if options.storage not in ("flac", "opus"):
            raise ValueError(f"stages read one file per clip: storage must be flac or opus, not {options.storage}")
        return options


class SystemTraining(Options):
    """What one system is trained with in place of the recipe's `training`."""

    learning_rate: float | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, ge=1)
    order: Literal["duration", "text"] | None = None


class SearchOptions(Options):
    """Learning rate, then epochs, chosen on held-out source speech; see `adaptation.search`."""

    learning_rates: tuple[float, ...] = Field(min_length=1)
    epochs: tuple[int, ...] = Field(min_length=1, description="ascending; the rates are compared at the first")
    source_utterances: int = Field(default=600, ge=1, description="a seeded subset of the source training set")


class ScaleSelection(Options):
    """How the analogy's λ is chosen; see `adaptation.scale_selection` for what each strategy does."""

    strategy: Strategy = Field(default="source_dev", description="source_dev: on the parts that scale_chosen_on names")
    compare: tuple[Strategy, ...] = Field(
        default=(), description="further strategies, done for their regret alone: the WER that each one's λ would cost"
    )
    fixed: float = Field(default=0.5, description="λ of the strategy fixed")
    domains: tuple[str, ...] = Field(
        default=(), description="source domains that play the target; none: all with enough held-out utterances"
    )
    utterances: int = Field(default=10, ge=1, description="held-out utterances that such a domain has at least")
    own_corners: bool = Field(
        default=False, description="an A and B without the domain that plays the target; costs two fine-tunings each"
    )
    unlabelled: UnlabelledPart = Field(default="target_train", description="audio for agreement; its texts are unread")
    scopes: tuple[str, ...] = Field(
        default=("encoder", "decoder"), min_length=1, description="of analogy_per_scope; see `merging.scope`"
    )
    rounds: int = Field(default=1, ge=1, description="of the search over scopes")


class ControlOptions(Options):
    """What the controls and the rivals with a training of their own are made with."""

    seeds: int = Field(default=3, ge=1, description="draws of each random control; its row is their mean")
    continued_rate: float = Field(default=0.1, gt=0, description="times the learning rate, where a mixed model goes on")
    ewc_strength: float = Field(default=1.0, gt=0, description="of the pull in target_synthetic_ewc (EwcOptions)")
    replay_share: float = Field(default=0.25, gt=0, le=1, description="of the real source speech that is replayed")


class VectorOptions(Options):
    """What has a vector of its own in the systems analogy_of_vectors_*, and how the vectors are merged."""

    by: Literal["domain", "speaker"] = Field(default="domain", description="of the source; speakers go by clusters")
    clusters: int = Field(default=4, ge=2, description="of speakers")
    utterances: int = Field(default=50, ge=1, description="for training, that a source domain has at least")
    density: float = Field(default=0.5, gt=0, le=1, description="share of the entries that TIES and DARE keep")


class EvaluationOptions(Options):
    """How systems are decoded and scored."""

    beams: int = Field(default=1, ge=1)
    window: Window | None = Field(default=None, description="None: the window each model was tuned in")
    backend: Backend = Field(default="torch", description="what decodes: torch, ctranslate2 or auto")
    compute: Compute = Field(default="int8", description="of CTranslate2: int8 or float32; bf16: torch's encoder")
    cluster: Literal["prompt", "speaker"] = "speaker"
    part: EvaluatedPart = Field(
        default="test", description="a held-out part leaves the test untouched: for choosing a recipe's values"
    )

    def decoding(self, language: str) -> DecodingOptions:
        """How speech in this language is decoded."""
        return DecodingOptions(
            window=self.window, beams=self.beams, backend=self.backend, compute=self.compute, language=language
        )


class Recipe(Options):
    """One experiment, from a corpus to a table."""

    later: ClassVar = ("vector", "other_decoders")

    title: str
    note: str = ""
    base: str = "pip:whisper-tiny.en"
    language: str = "en"
    seed: int = 0
    training_seed: int | None = Field(
        default=None,
        description="of the fine-tunings alone, to measure its effect: the division and the synthetic speech "
        "stay those of `seed`, which is also the default",
    )
    corpus: CorpusOptions
    split: SplitOptions
    channel: RecipeChannel | None = None
    synthesis: RecipeSynthesis
    training: FinetuneOptions = Field(
        default_factory=FinetuneOptions,
        description="of every system. `order: text` makes twins of A and B: the same texts in the same batches in one "
        "order (with one clip a text), so that B − A is the difference of speech and not of order. The default, "
        "duration, pads less",
    )
    training_of: dict[SystemName, SystemTraining] = Field(
        default_factory=dict, description="system -> its own training values; a search chooses for all"
    )
    search: SearchOptions | None = None
    scales: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    scale_chosen_on: tuple[Part, ...] = Field(default=("source_dev",), min_length=1)
    scale_selection: ScaleSelection = Field(default_factory=ScaleSelection)
    systems: tuple[SystemName, ...] = DEFAULT_SYSTEMS
    publish: SystemName | Literal["auto"] | None = Field(
        default=None,
        description="the system whose model the run ends with, as `model/`; None: the analogy's; "
        "auto: the stand-ins decide, and choose every λ",
    )
    stand_ins: StandInOptions = Field(default_factory=StandInOptions, description="of `publish: auto`")
    vector: GivenVector | None = Field(
        default=None,
        description="a ready-made τ_B − τ_A for the analogy in place of the source's own: `speech-analogy vector gap`",
    )
    controls: ControlOptions = Field(default_factory=ControlOptions)
    vectors: VectorOptions = Field(default_factory=VectorOptions)
    report_forgetting: bool = Field(
        default=False, description="every system is also evaluated on held-out source speech: what it retains of it"
    )
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions)
    other_decoders: OtherDecodersOptions | None = Field(
        default=None, description="where the published model is tried besides our own decoder"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.split.target_dev is None and "target_dev" in (*self.scale_chosen_on, self.evaluation.part):
            key = "scale_chosen_on" if "target_dev" in self.scale_chosen_on else "evaluation.part"
            raise ValueError(f"{key} names target_dev, but split.target_dev is not given")
        if self.training_of and self.search:
            raise ValueError("training_of and search both determine how a system is trained: give only one of them")
        if self.publish not in (None, AUTO) and self.publish not in self.systems:
            raise ValueError(f"publish names {self.publish}, which is not among systems: add it there")
        if self.publish not in (None, AUTO) and not has_model(str(self.publish)):
            raise ValueError(f"publish names {self.publish}, which has no model of its own: name another system")
        if "analogy" in self.systems and not self.scales:
            raise ValueError("the analogy needs at least one scale")
        unlabelled = self.scale_selection.unlabelled
        if "agreement" in (self.scale_selection.strategy, *self.scale_selection.compare):
            if unlabelled == "target_train" and self.split.field is None:
                raise ValueError("agreement on target_train needs split.field: give one, or scale_selection.unlabelled")
            if unlabelled == "target_dev" and self.split.target_dev is None:
                raise ValueError("agreement needs target_dev, but split.target_dev is not given")
        if self.vector is not None and any(map(needs_adapters, self.systems)):
            raise ValueError("a gap vector has no LoRA factors: leave analogy_by_adapter out of systems")
        if self.vector is not None and self.decides:
            raise ValueError("publish: auto needs an A and a B of the source's own: leave out vector, or name a system")
        adapters = sorted(filter(needs_adapters, self.systems))
        if adapters and self.training.lora is None:
            raise ValueError(f"{', '.join(adapters)} combines LoRA adapters: give training.lora")
        recorded = sorted(filter(needs_target_recordings, self.systems))
        if recorded and self.split.field is None:
            raise ValueError(f"{', '.join(recorded)} needs target training recordings: give split.field")
        return self

    @property
    def decides(self) -> bool:
        """Do stand-ins decide what is published?"""
        return self.publish == AUTO

    def trainings(self) -> list[str]:
        """The fine-tunings that its systems need, in an order in which they can be done."""
        return trained_systems(self.systems, given=self.vector is not None)

    def training_for(self, system: str, like: str | None = None) -> FinetuneOptions:
        """How a system is trained, unless a search chooses; without values of its own, as `like` is."""
        given: dict[str, SystemTraining] = {str(name): options for name, options in self.training_of.items()}
        own = given.get(system) or given.get(like or system) or SystemTraining()
        return self.training.model_copy(update=own.model_dump(exclude_none=True))


def load_recipe(path: str | Path, overrides: Iterable[str] = (), data: str | Path | None = None) -> tuple[Recipe, Path]:
    """Read a recipe.

    Args:
        path: a recipe.yaml, or the folder that holds one. A recipe may extend another; see `adaptation.extends`.
        overrides: `dotted.key=value`, the value in YAML.
        data: the corpus's path, in place of the recipe's.

    Returns:
        the recipe, and the folder that its paths are relative to.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (the nearest valid one is named), a value out of range.
    """
    source = read_source(Path(path))
    file, content = source.files[0], source.content
    for override in overrides:
        _override(content, override)
    if data is not None:
        content.setdefault("corpus", {})["path"] = str(Path(data).resolve())
    try:
        return Recipe.model_validate(content), file.parent.resolve()
    except ValidationError as error:
        stated_in = source.file_of([str(part) for part in error.errors()[0]["loc"]])
        raise config_error(error, Recipe, stated_in) from None


def _override(content: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key:
        raise ConfigError("must be key=value", field="--set", value=override)
    *path, last = key.split(".")
    section = content
    for part in path:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError("this key has no keys below it", field=f"--set {key}", value=part)
    try:
        section[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError("the value must be YAML", field=f"--set {key}", value=value) from None
