"""What a run found, as one typed object: `results.json`, and the JSONL of hypotheses each system points to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError

from speech_analogy.errors import DataError
from speech_analogy.evaluation.environment import Making
from speech_analogy.evaluation.measures.records import EntityCount, EntitySpan, Groups, TargetWords, TermScore
from speech_analogy.evaluation.significance import FEWEST_CLUSTERS
from speech_analogy.evaluation.stand_in_estimate import Estimate
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.options import Options, config_error
from speech_analogy.foundation.user_files.json_text import require_finite
from speech_analogy.foundation.user_files.plain import TOO_LONG, read_lines, read_text


class Hypothesis(Options):
    """One utterance as one system transcribed it: a row of a system's `hypotheses_file`."""

    later: ClassVar = ("prompt", "one_pass", "silent", "traits", "entities")

    id: str
    domain: str
    speaker: str = Field(description="empty where it is unknown")
    cluster: str = Field(description="what stands or falls together: the prompt or the speaker")
    prompt: str = Field(default="", description="what groups repetitions of one prompt; empty in earlier files")
    audio: str = Field(description="the recording's path")
    duration_s: float
    reference: str = Field(description="raw, as in the corpus")
    hypothesis: str = Field(description="raw, as decoded")
    reference_normalised: str
    hypothesis_normalised: str
    substitutions: int
    deletions: int
    insertions: int
    words: int = Field(description="words of the normalised reference")
    one_pass: str | None = Field(
        default=None, description="raw, what the first pass wrote, where that looped or was written on silence"
    )
    silent: bool = Field(default=False, description="taken for silence, which has no words")
    traits: dict[str, str] = Field(
        default_factory=dict, description="what the corpus says of speaker and microphone: trait -> group"
    )
    entities: list[EntitySpan] = Field(default_factory=list, description="of the reference, where the corpus has some")


class System(Options):
    """The score of one system on the test set. Rates are percentages of the reference's words."""

    later: ClassVar = (
        "source_wer", "wer_of_seeds", "scopes", "wer_spoken", "wer_unspoken", "fell_back", "silent", "silent_words",
        "one_pass_wer", "loops", "words_on_silence", "real_time_factor", "target_words", "terms", "entities", "groups",
    )  # fmt: skip

    name: str = Field(description="zero_shot, source_synthetic, ..., analogy")
    scale: float | None = Field(default=None, description="λ; None where the system has none")
    chosen: bool = Field(default=False, description="this λ was the one chosen without the test set")
    wer: float
    ci95: tuple[float, float]
    cer: float
    raw_wer: float = Field(description="WER of the texts as they are, without normalisation")
    substitutions: int
    deletions: int
    insertions: int
    words: int
    utterances: int
    over_100: int = Field(description="utterances whose own WER is over 100 %: repetition loops")
    window: Literal["trimmed", "full", ""] = Field(description="empty: not known")
    backend: str = Field(
        default="torch", description="torch, ctranslate2-int8 or ctranslate2-float32; empty: not known"
    )
    seconds: float = Field(description="wall time of decoding")
    hypotheses_file: str = Field(description="relative to the run folder")
    source_wer: float | None = Field(default=None, description="WER on held-out source speech: what is kept of it")
    wer_of_seeds: list[float] = Field(
        default_factory=list, description="where several seeds were drawn: each one's WER; everything else is pooled"
    )
    fell_back: int = Field(default=0, description="utterances whose first pass looped: cut, or decoded again")
    silent: int = Field(default=0, description="utterances that were taken for silence")
    silent_words: int = Field(default=0, description="words that the first pass wrote on them; they are left out")
    one_pass_wer: float | None = Field(
        default=None, description="WER of what the first pass wrote, where that differs for any utterance"
    )
    scopes: dict[str, float] = Field(default_factory=dict, description="scope -> λ, where it is not one for all")
    wer_spoken: float | None = Field(default=None, description="on utterances whose text TTS has spoken")
    wer_unspoken: float | None = Field(default=None, description="on the others")
    loops: int | None = Field(default=None, description="utterances whose transcript repeats itself")
    words_on_silence: int | None = Field(
        default=None, description="words written on utterances whose reference has none; these are in no rate"
    )
    real_time_factor: float | None = Field(default=None, description="seconds of decoding for a second of speech")
    target_words: TargetWords | None = Field(default=None, description="WER on the target's own words, and on others")
    terms: TermScore | None = None
    entities: dict[str, EntityCount] = Field(default_factory=dict, description="type -> recall")
    groups: list[Groups] = Field(default_factory=list, description="WER by group of speakers or microphones")


class Overlap(Options):
    """How much of a test was in training."""

    recordings: int
    speakers: int
    utterances: int = Field(description="of the test: of such recordings, or by such speakers")


class SpokenTexts(Options):
    """How many of a test's texts TTS has spoken for training, in the form in which they are scored."""

    texts: int = Field(description="distinct ones of the test")
    spoken: int = Field(description="of these, how many TTS has spoken; all: a closed vocabulary")
    utterances: int = Field(description="of the test, that have such a text")


class Comparison(Options):
    """A paired comparison on the test set: `difference` = WER(system) − WER(against), in points."""

    later: ClassVar = ("p_holm", "detectable")

    system: str
    against: str
    scale: float | None = None
    difference: float
    relative: float = Field(description="difference / WER(against); −0.2 is 20 % fewer errors")
    ci95: tuple[float, float]
    p_value: float | None = Field(
        default=None, description="two-sided, paired, clustered; None with too few clusters for one"
    )
    p_holm: float | None = Field(default=None, description="corrected by Holm for all comparisons of the run")
    detectable: float | None = Field(
        default=None, description="the smallest difference, in points, that such a test tells with 80 % power at 5 %"
    )


class Ensemble(Options):
    """One transcript out of those of several systems, each utterance decoded by all of them."""

    members: list[str] = Field(description="systems, or decodings of one; the first wins where all differ alike")
    decodings: int = Field(description="how often each utterance is decoded: what it costs")
    wer: float
    ci95: tuple[float, float]
    oracle_wer: float = Field(description="of the best transcript of each utterance: no choice among them is lower")
    comparisons: list[Comparison] = Field(default_factory=list, description="with each member")


class DecoderResult(Options):
    """The published model in another decoder, on some of the test's utterances, and paired with ours on the same."""

    decoder: str
    utterances: int
    wer: float
    ours: float = Field(description="WER of our own decoder")
    difference: float = Field(description="wer − ours, in points")
    ci95: tuple[float, float] = Field(description="of the difference")


class ScalePoint(Options):
    """WER of the analogy at one λ on held-out source speech: what λ was chosen by."""

    scale: float
    wer: float


class StrategyChoice(Options):
    """The λ that one strategy chooses, and what choosing without the test set cost."""

    strategy: str
    scale: float
    chosen_on: str = ""
    taken: bool = Field(default=False, description="this is the strategy whose λ the analogy has")
    regret: float | None = Field(default=None, description="WER at this λ less the test curve's lowest, in points")


class Selection(Options):
    """What was chosen, from what, without the test set."""

    later: ClassVar = ("strategies",)

    scale: float
    scale_curve: list[ScalePoint]
    scale_chosen_on: str = Field(description="e.g. 'held-out source speech: 200 utterances of 12 speakers'")
    strategies: list[StrategyChoice] = Field(default_factory=list, description="where several were compared")
    training: dict[str, dict[str, float]] = Field(default_factory=dict, description="system -> {learning_rate, epochs}")
    training_trials: list[dict[str, Any]] = Field(
        default_factory=list, description="{system, learning_rate, epochs, wer} on held-out source speech"
    )


class Test(Options):
    """What the systems were measured on."""

    later: ClassVar = ("cluster_note", "overlap", "texts")

    recipe: str
    title: str
    domains: list[str]
    utterances: int
    speakers: int = Field(description="that are known by name; 0: none is")
    clusters: int
    cluster: Literal["prompt", "speaker"]
    cluster_note: str = Field(default="", description="why clusters are not what was asked for, or not all known")
    duration_s: float
    dropped_empty_references: int
    normaliser: str
    overlap: Overlap | None = Field(default=None, description="with training; None: not known")
    texts: SpokenTexts | None = Field(default=None, description="None: what TTS has spoken is not known")
    note: str = Field(default="", description="what a reader must know of this test, e.g. a simulated channel")


class DefaultValue(Options):
    """A value of the recipe that nobody gave, and what supports it."""

    key: str = Field(description="of the recipe, dotted")
    value: str
    why: str
    table: str = Field(default="", description="the file that holds the figures; empty where it is no measurement")


class SpokenBy(Options):
    """What one voice of text-to-speech spoke for one side of the analogy."""

    side: Literal["source", "target"]
    voice: str = Field(description="engine:voice")
    asked: int = Field(description="clips")
    kept: int = Field(description="clips that passed the gates")
    attempts: int
    seconds: float = Field(description="of speech that was kept")
    licence: str = Field(default="", description="of the voice; empty: not known")


class Results(Options):
    """`results.json`, schema 1."""

    later: ClassVar = ("published", "estimate", "other_decoders", "found", "defaults", "made", "ensembles", "spoken_by")

    schema_: Literal[1] = Field(default=1, alias="schema")
    test: Test
    systems: list[System]
    comparisons: list[Comparison]
    published: str = Field(default="", description="the system whose model the run ends with, where that was decided")
    estimate: Estimate | None = Field(default=None, description="what stand-in domains say of the target")
    other_decoders: list[DecoderResult] = Field(default_factory=list, description="of the published model")
    ensembles: list[Ensemble] = Field(
        default_factory=list, description="consensus of the transcripts of several systems"
    )
    selection: Selection | None = Field(default=None, description="None where nothing was chosen")
    counts: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="training set -> {utterances, hours, speakers, texts}"
    )
    spoken_by: list[SpokenBy] = Field(default_factory=list, description="what each voice spoke")
    found: list[str] = Field(default_factory=list, description="what the user's texts and recordings are, a line each")
    defaults: list[DefaultValue] = Field(default_factory=list, description="the values that nobody gave")
    command: str = Field(default="", description="that made it, or most of its stages; so versions and machine")
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str] = Field(default_factory=dict)
    made: list[Making] = Field(
        default_factory=list, description="what made which stages, where that is not the same for all"
    )
    seconds: dict[str, float] = Field(default_factory=dict, description="stage -> wall time")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @property
    def too_few_clusters(self) -> bool:
        """Are the intervals too narrow to trust? There are no p-values then."""
        return bool(self.systems) and self.test.clusters < FEWEST_CLUSTERS

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_whole(path, self.to_json() + "\n")

    def to_json(self) -> str:
        """As `results.json` has it."""
        return self.model_dump_json(by_alias=True, indent=2)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read `results.json`; a DataError names what is wrong with it."""
        content = read_text(path, missing="no results here", do="run `speech-analogy adapt RECIPE` first")
        try:
            require_finite(content)
            return cls.model_validate_json(content)._as_can_be_trusted()
        except ValidationError as error:
            raise DataError(f"not a results file: {config_error(error, cls)}", file=path) from None
        except ValueError as error:
            raise DataError(f"not a results file: {error}", file=path) from None

    def _as_can_be_trusted(self) -> Results:
        """Without the p-values that earlier versions gave with too few clusters."""
        if not self.too_few_clusters:
            return self
        bare = [row.model_copy(update={"p_value": None, "p_holm": None}) for row in self.comparisons]
        return self.model_copy(update={"comparisons": bare})


def read_hypotheses(path: Path) -> list[Hypothesis]:
    """Read a system's hypotheses, one JSON object per line."""
    rows: list[Hypothesis] = []
    for number, line in read_lines(path, missing="the hypotheses file is missing", do="run the recipe again"):
        if line is None:
            raise DataError(f"line {number} is not a hypothesis: {TOO_LONG}", file=path)
        if not line.strip():
            continue
        try:
            require_finite(line)
            rows.append(Hypothesis.model_validate_json(line))
        except ValidationError as error:
            raise DataError(
                f"line {number} is not a hypothesis: {config_error(error, Hypothesis)}", file=path
            ) from None
        except ValueError as error:
            raise DataError(f"line {number} is not a hypothesis: {error}", file=path) from None
    return rows


def write_hypotheses(rows: list[Hypothesis], path: Path) -> None:
    """Write hypotheses as JSONL, whole or not at all."""
    write_whole(path, "".join(row.model_dump_json() + "\n" for row in rows))
