"""Parameters of the stages that make speech and texts."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer, model_serializer

from data_synth.channel.chain import ChannelOptions
from data_synth.plan.options import SynthesisOptions
from data_synth.text.texts import Text
from speech_analogy.adaptation.data_options import CorpusOptions, HoldOut, SplitOptions
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import PARTS, SOURCE_PARTS
from speech_analogy.adaptation.stages.params.base import (
    CUTS_FILE,
    TEXTS_FILE,
    Elsewhere,
    Output,
    StageParams,
)

UNREAD_BY_SPLIT = ("target_texts",)  # keys of `split` that the division does not depend on
UNREAD_BY_TEXTS = ("source_domains", "source_utterances")


class CorpusParams(StageParams):
    """Read a corpus: every usable utterance."""

    kind: ClassVar = "corpus"
    version: ClassVar = 1
    outputs: ClassVar = {"cuts": CUTS_FILE}
    optional: ClassVar = ("fit_for_a_window",)
    uses_a_model: ClassVar = False

    corpus: CorpusOptions
    language: str
    folder: str = Field(description="that the corpus's path is relative to")
    digest: str = Field(description="of all its cuts")
    fit_for_a_window: bool | None = Field(default=None, description="utterances over 30 s are left out")


class _Division(StageParams):
    """What the division of a corpus depends on, recorded as the part of a recipe that says it."""

    uses_a_model: ClassVar = False
    unread: ClassVar[tuple[str, ...]]

    cuts: Output = Field(exclude=True)
    language: str
    seed: int
    corpus: CorpusOptions
    split: SplitOptions

    @classmethod
    def of(cls, recipe: Recipe, cuts: Any, **more: Any) -> Any:
        """The division as a recipe says it; what this stage does not read is left out."""
        corpus, split = recipe.experiment
        rules = split.model_copy(update=dict.fromkeys(cls.unread))
        return cls(cuts=cuts, language=recipe.language, seed=recipe.seed, corpus=corpus, split=rules, **more)

    @model_serializer(mode="wrap")
    def _as_a_recipe(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said = dump(self)
        rules = {name: value for name, value in said["split"].items() if name not in self.unread}
        recipe = {
            "title": "",
            "language": said["language"],
            "seed": said["seed"],
            "corpus": said["corpus"],
            "split": rules,
            "synthesis": {"source": {}, "target": {}},
            "systems": ["zero_shot"],
        }
        return {"recipe": recipe, **self._more()}

    def _more(self) -> dict[str, Any]:
        return {}


class SplitParams(_Division):
    """Divide a corpus and write its parts."""

    kind: ClassVar = "split"
    version: ClassVar = 2
    outputs: ClassVar = {part: f"{part}.jsonl.gz" for part in PARTS}
    unread: ClassVar = UNREAD_BY_SPLIT


class TextsParams(_Division):
    """Write the texts that C speaks."""

    kind: ClassVar = "texts"
    version: ClassVar = 1
    outputs: ClassVar = {"texts": TEXTS_FILE}
    unread: ClassVar = UNREAD_BY_TEXTS


class SourceSplitParams(StageParams):
    """Divide source speech into what is trained on and what is held out."""

    kind: ClassVar = "source_split"
    version: ClassVar = 1
    outputs: ClassVar = {part: f"{part}.jsonl.gz" for part in SOURCE_PARTS}
    optional: ClassVar = ("utterances", "hold_out")
    uses_a_model: ClassVar = False

    cuts: Output = Field(exclude=True)
    hold_out: HoldOut | None
    utterances: int | None
    seed: int


class GivenTextsParams(StageParams):
    """Write the texts that C speaks, where they come from the user's files."""

    kind: ClassVar = "given_texts"
    version: ClassVar = 1
    outputs: ClassVar = {"texts": TEXTS_FILE}
    uses_a_model: ClassVar = False

    given: tuple[Text, ...] = Field(exclude=True)
    digest: str = Field(description="of the texts, their ids and domains")


class UnlabelledParams(StageParams):
    """Find recordings without texts."""

    kind: ClassVar = "unlabelled"
    version: ClassVar = 1
    outputs: ClassVar = {"cuts": CUTS_FILE}
    uses_a_model: ClassVar = False

    path: str
    digest: str = Field(description="of all recordings")


class _OfOneTarget(_Division):
    """A division of a corpus that another plan has read, with one of its domains as the target."""

    kind: ClassVar = "given"  # as in the names of earlier runs
    version: ClassVar = 1

    cuts: Elsewhere = Field(exclude=True)  # type: ignore[assignment]
    left_out: tuple[str, ...] = Field(exclude=True, description="domains that are neither source nor target")
    source: str = Field(description="others or rest, as for `--targets`")
    digest: str = Field(description="of the corpus")

    def _more(self) -> dict[str, Any]:
        return {"source": self.source, "digest": self.digest}


class TargetSplitParams(_OfOneTarget):
    """Divide a corpus with one of its domains as the target."""

    outputs: ClassVar = SplitParams.outputs
    unread: ClassVar = UNREAD_BY_SPLIT

    source_digest: str | None = Field(
        default=None, exclude=True, description="of the source's parts, where several targets have the same"
    )

    def identity(self, file: str) -> str | None:
        """Stages that read the source alone are the same for all targets that share it."""
        return self.source_digest if file in {self.outputs[part] for part in SOURCE_PARTS} else None


class TargetTextsParams(_OfOneTarget):
    """Write the texts that C speaks, with one domain as the target."""

    outputs: ClassVar = TextsParams.outputs
    unread: ClassVar = UNREAD_BY_TEXTS


class ChannelParams(StageParams):
    """Send one part of the real speech through a channel."""

    kind: ClassVar = "channel"
    version: ClassVar = 1
    outputs: ClassVar = {"cuts": CUTS_FILE}
    optional: ClassVar = ("files",)
    uses_a_model: ClassVar = False

    cuts: Output = Field(exclude=True)
    part: str
    options: ChannelOptions
    seed: int
    copies: int
    files: str | None = Field(description="digest of the files that the channel reads")


class _Spoken(StageParams):
    """Texts spoken by engines."""

    outputs: ClassVar = {"cuts": CUTS_FILE}
    optional: ClassVar = ("files",)
    uses_a_model: ClassVar = False

    options: SynthesisOptions
    files: str | None = Field(description="digest of the files that the channel reads")

    @field_serializer("options")
    def _what_clips_depend_on(self, options: SynthesisOptions) -> dict[str, Any]:
        return options.model_dump(mode="json", exclude={"workers", "isolated", "timeout_s"})


class SynthesisParams(_Spoken):
    """Speak the texts of one side: every source utterance's text for A, every distinct target text for C."""

    kind: ClassVar = "synthesis"
    version: ClassVar = 1

    side: str
    texts: Output = Field(exclude=True, description="cuts for the source, texts for the target")


class SpeechParams(_Spoken):
    """Speak one domain's texts, for every target that needs them."""

    kind: ClassVar = "given"  # as in the names of earlier runs
    version: ClassVar = SynthesisParams.version

    domain: str = Field(exclude=True)
    spoken: tuple[Text, ...] = Field(exclude=True)
    texts: str = Field(description="digest of the texts")


class JoinedParams(StageParams):
    """The clips of several domains in one set: those whose texts the source's cuts, or the target's texts, have."""

    kind: ClassVar = "given"  # as in the names of earlier runs
    version: ClassVar = 1
    outputs: ClassVar = {"cuts": CUTS_FILE}
    uses_a_model: ClassVar = False

    wanted: Output = Field(exclude=True, description="cuts for the source, texts for the target")
    spoken: tuple[Elsewhere, ...] = Field(exclude=True)
    parts: tuple[str, ...] = Field(description="names of the folders of `spoken`")
