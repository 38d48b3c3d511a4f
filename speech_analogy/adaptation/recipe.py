"""Recipes: what an experiment is, read from YAML, checked key by key, changed by `--set key=value`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from speech_analogy.adaptation.data_options import CorpusOptions, SourceOptions, SplitOptions, TargetOptions
from speech_analogy.adaptation.decoder_options import OtherDecodersOptions
from speech_analogy.adaptation.extends import RecipeSource, read_source
from speech_analogy.adaptation.recipe_options import (
    ControlOptions,
    RecipeChannel,
    RecipeSynthesis,
    RecipeWidening,
    SearchOptions,
    SystemTraining,
    VectorOptions,
)
from speech_analogy.adaptation.stand_in_options import StandInOptions
from speech_analogy.adaptation.vector_options import GivenVector
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.options import LanguageCode, Options, Seed, config_error
from speech_analogy.foundation.user_files.json_text import DEEPEST
from speech_analogy.foundation.user_files.yaml_text import parse_yaml
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.protocol import Backend, Compute
from speech_analogy.recognisers.windows import Window
from speech_analogy.systems.catalogue import (
    DEFAULT_SYSTEMS,
    TRAINED_ON,
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
USER_SYSTEMS: tuple[SystemName, ...] = (
    "zero_shot", "source_real", "target_synthetic", "mixed", "analogy", "mean_of_mixed_and_analogy",
)  # fmt: skip
"""What is compared where a recipe with source and target names no systems."""
VECTOR_SYSTEMS: tuple[SystemName, ...] = ("zero_shot", "target_synthetic", "analogy")
"""The same where a ready-made gap vector stands for the source."""


class Experiment(NamedTuple):
    """One corpus, and how it is divided into source and target, training, held-out and test speech."""

    corpus: CorpusOptions
    split: SplitOptions


class UserRun(NamedTuple):
    """Recordings of anything, None where a gap vector stands for them, and the texts of what is adapted to."""

    source: SourceOptions | None
    target: TargetOptions


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


class EvaluationOptions(Options):
    """How systems are decoded and scored."""

    beams: int = Field(default=1, ge=1)
    window: Window | None = Field(default=None, description="None: the window each model was tuned in")
    backend: Backend = Field(default="torch", description="what decodes: torch, ctranslate2 or auto")
    compute: Compute = Field(default="int8", description="of CTranslate2: int8 or float32; bf16: torch's encoder")
    fallback: bool = Field(
        default=True, description="what loops is cut or decoded again, silence has no words; off: as version 0.1.0"
    )
    cluster: Literal["prompt", "speaker"] = "speaker"
    part: EvaluatedPart = Field(
        default="test", description="a held-out part leaves the test untouched: for choosing a recipe's values"
    )

    def decoding(self, language: str) -> DecodingOptions:
        """How speech in this language is decoded."""
        return DecodingOptions(
            window=self.window,
            beams=self.beams,
            backend=self.backend,
            compute=self.compute,
            fallback=self.fallback,
            language=language,
        )


class Recipe(Options):
    """What is adapted to what: an experiment, from one corpus to a table, or the user's run, from texts to a model."""

    later: ClassVar = ("source", "target", "vector", "other_decoders", "allow_overlap", "widen")

    title: str
    note: str = ""
    base: str = "pip:whisper-tiny.en"
    language: LanguageCode = "en"
    seed: Seed = 0
    training_seed: Seed | None = Field(
        default=None,
        description="of the fine-tunings alone, to measure its effect: the division and the synthetic speech "
        "stay those of `seed`, which is also the default",
    )
    corpus: CorpusOptions | None = Field(default=None, description="of an experiment: one corpus, which is divided")
    split: SplitOptions | None = None
    source: SourceOptions | None = Field(default=None, description="in place of corpus and split: the user's own run")
    target: TargetOptions | None = None
    channel: RecipeChannel | None = None
    synthesis: RecipeSynthesis | None = Field(
        default=None, description="with source and target it may be left out: voices by language and what is installed"
    )
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
    widen: RecipeWidening | None = Field(
        default=None,
        description="the published model is taught 30 s windows, which every other decoder has; its row is of after",
    )
    other_decoders: OtherDecodersOptions | None = Field(
        default=None, description="where the published model is tried besides our own decoder"
    )
    allow_overlap: Literal["speakers", "recordings"] | None = Field(
        default=None,
        description="what of the test may have been in training (recordings: speakers too), which every table then "
        "says; None: such a test is refused",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_users_run(cls, values: Any) -> Any:
        if isinstance(values, dict) and "target" in values:
            spoken = values.get("synthesis")
            sides = {"synthesis": {"source": {}, "target": {}, **spoken}} if isinstance(spoken, dict) else {}
            systems = USER_SYSTEMS if "source" in values else VECTOR_SYSTEMS
            return {"title": "", "systems": systems, **values, **sides}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_data()
        has_target_dev = self.split is not None and self.split.target_dev is not None
        if not has_target_dev and "target_dev" in (*self.scale_chosen_on, self.evaluation.part):
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
        self._check_unlabelled(has_target_dev)
        if self.vector is not None and any(map(needs_adapters, self.systems)):
            raise ValueError("a gap vector has no LoRA factors: leave analogy_by_adapter out of systems")
        if self.vector is not None and self.decides:
            raise ValueError("publish: auto needs an A and a B of the source's own: leave out vector, or name a system")
        adapters = sorted(filter(needs_adapters, self.systems))
        if adapters and self.training.lora is None:
            raise ValueError(f"{', '.join(adapters)} combines LoRA adapters: give training.lora")
        recorded = sorted(filter(needs_target_recordings, self.systems))
        if recorded and (self.split is None or self.split.field is None):
            do = "give split.field" if self.split is not None else "leave it out of systems"
            raise ValueError(f"{', '.join(recorded)} needs target training recordings: {do}")
        return self

    def _check_data(self) -> None:
        """Either one corpus that is divided, or a source and a target."""
        divided = {"corpus": self.corpus, "split": self.split}
        apart = {"source": self.source, "target": self.target}
        given = [name for name, section in {**divided, **apart}.items() if section is not None]
        if given == ["target"] and self.vector is not None:
            self._check_without_source()
        elif given not in (list(divided), list(apart)):
            found = f"not {' and '.join(given)}" if given else "none of them is there"
            rule = "give either source and target, or corpus and split (a vector may stand for the source)"
            raise ValueError(f"{rule}: {found}")
        if self.corpus is not None and self.synthesis is None:
            raise ValueError("synthesis is missing: say how source and target texts are spoken")
        if self.target is not None and self.channel is not None:
            raise ValueError("channel simulates one on a divided corpus: with source and target leave it out")

    def _check_without_source(self) -> None:
        """Nothing is asked for that only source speech gives."""
        taught = [name for name in self.trainings() if {"source_real", "source_synthetic"} & {*TRAINED_ON[name]}]
        for key, wrong in (
            ("systems", taught),
            ("search", ["learning rates"] if self.search else []),
            ("report_forgetting", ["true"] if self.report_forgetting else []),
            ("evaluation.part", ["source_dev"] if self.evaluation.part == "source_dev" else []),
        ):
            if wrong:
                raise ValueError(f"{key}: {', '.join(wrong)} needs source speech: give source, or leave it out")

    def _check_unlabelled(self, has_target_dev: bool) -> None:
        """There is audio for agreement, if that is asked for."""
        if "agreement" not in (self.scale_selection.strategy, *self.scale_selection.compare):
            return
        unlabelled = self.scale_selection.unlabelled
        if unlabelled == "target_train" and self.split is not None and self.split.field is None:
            raise ValueError("agreement on target_train needs split.field: give one, or scale_selection.unlabelled")
        if unlabelled == "target_train" and self.target is not None and self.target.unlabelled is None:
            raise ValueError("agreement needs target.unlabelled, which is not given")
        if unlabelled == "target_dev" and not has_target_dev:
            raise ValueError("agreement needs target_dev, but split.target_dev is not given")

    @property
    def experiment(self) -> Experiment:
        """The corpus and how it is divided.

        Raises:
            ConfigError: the recipe has a source and a target instead.
        """
        if self.corpus is None or self.split is None:
            raise ConfigError("needs one corpus that is divided: corpus and split", field="source and target")
        return Experiment(self.corpus, self.split)

    @property
    def user_run(self) -> UserRun:
        """The source, if there is one, and the target.

        Raises:
            ConfigError: the recipe divides one corpus instead.
        """
        if self.target is None:
            raise ConfigError("needs source and target", field="corpus and split")
        return UserRun(self.source, self.target)

    @property
    def target_domains(self) -> tuple[str, ...]:
        """What is adapted to."""
        if self.split is not None:
            return self.split.target_domains
        return (self.target.name,) if self.target is not None and self.target.name else ()

    @property
    def reported_part(self) -> EvaluatedPart | None:
        """The part that results are about; None in a user's run without a test."""
        part = self.evaluation.part
        return None if part == "test" and self.target is not None and self.target.test is None else part

    @property
    def spoken(self) -> RecipeSynthesis:
        """How texts are spoken; in the user's run it has been chosen by the time that it is asked for."""
        assert self.synthesis is not None, "voices were not chosen"
        return self.synthesis

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
        data: the corpus's path, or the source's, in place of the recipe's.

    Returns:
        the recipe, and the folder that its paths are relative to.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (the nearest valid one is named), a value out of range.
    """
    source = read_overridden(path, overrides, data)
    return parse_recipe(source), source.files[0].parent.resolve()


def read_overridden(path: str | Path, overrides: Iterable[str] = (), data: str | Path | None = None) -> RecipeSource:
    """A recipe as it is written, with what overrides it; arguments and errors as of `load_recipe`."""
    source = read_source(Path(path))
    override_keys(source.content, overrides, data)
    return source


def override_keys(content: dict[str, Any], overrides: Iterable[str], data: str | Path | None = None) -> None:
    """Set single keys of a recipe's content.

    Raises:
        ConfigError: one is not `dotted.key=value` with a value in YAML.
    """
    for override in overrides:
        _override(content, override)
    if data is None:
        return
    section = "source" if "source" in content else "corpus"
    there = content.get(section)
    there = there if isinstance(there, dict) else {}
    content[section] = {**there, "path": str(Path(data).resolve())}


def parse_recipe(source: RecipeSource) -> Recipe:
    """The recipe that a written one says.

    Raises:
        ConfigError: an unknown key, a value out of range, or keys that exclude each other; its file is named.
    """
    try:
        return Recipe.model_validate(source.content)
    except ValidationError as error:
        stated_in = source.file_of([str(part) for part in error.errors()[0]["loc"]])
        raise config_error(error, Recipe, stated_in) from None


def _override(content: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key:
        raise ConfigError("must be key=value", field="--set", value=override)
    *path, last = key.split(".")
    if len(path) > DEEPEST:
        raise ConfigError("there is no such key", field="--set", value=key)
    section = content
    for part in path:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError("this key has no keys below it", field=f"--set {key}", value=part)
    try:
        section[last] = parse_yaml(value)
    except ValueError:
        raise ConfigError("the value must be YAML", field=f"--set {key}", value=value) from None
