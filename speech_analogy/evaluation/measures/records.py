"""What is found beside the WER, as typed objects of `results.json`; rates are percentages."""

from __future__ import annotations

from pydantic import Field

from speech_analogy.foundation.options import Options


class EntitySpan(Options):
    """An entity of a reference, as its corpus has it."""

    type: str
    text: str


class TargetWords(Options):
    """WER on the words that the target's texts have and the source's have not, and on all others.

    A substitution or deletion counts with the word of the reference, an insertion with the word that it inserts.

    Source: D. Le et al., "Contextualized streaming end-to-end speech recognition with trie-based deep biasing and
    shallow fusion", Interspeech 2021 (arXiv 2104.02194), section 3.2: B-WER and U-WER.
    """

    vocabulary: int = Field(description="distinct words of the target's texts that the source's have not")
    words: int = Field(description="of them in the references")
    errors: int
    others: int = Field(description="all other words of the references")
    other_errors: int

    @property
    def b_wer(self) -> float | None:
        """On the target's own words; None where the references have none."""
        return 100.0 * self.errors / self.words if self.words else None

    @property
    def u_wer(self) -> float | None:
        """On all others; None where there are none."""
        return 100.0 * self.other_errors / self.others if self.others else None


class TermCount(Options):
    """How one term fared."""

    spoken: int = Field(description="times in the references")
    found: int = Field(description="of these, how often the transcript of the same utterance has it")
    false: int = Field(description="times in transcripts beyond what was spoken: false insertions")


class TermScore(Options):
    """Recall, precision and false insertions of a list of terms."""

    chosen: str = Field(description="where the terms come from")
    listed: int = Field(description="terms of the list; what normalises to nothing is left out")
    spoken: int
    found: int
    false: int
    terms: dict[str, TermCount] = Field(default_factory=dict, description="those that were spoken or written")

    @property
    def recall(self) -> float | None:
        """Of what was spoken, how much was found; None where nothing was."""
        return 100.0 * self.found / self.spoken if self.spoken else None

    @property
    def precision(self) -> float | None:
        """Of what was written, how much was spoken; None where nothing was written."""
        written = self.found + self.false
        return 100.0 * self.found / written if written else None


class EntityCount(Options):
    """Entities of one type."""

    spoken: int
    found: int = Field(description="whose words stand in the transcript")

    @property
    def recall(self) -> float:
        return 100.0 * self.found / self.spoken


class GroupScore(Options):
    """The WER on the utterances of one group."""

    group: str
    utterances: int
    clusters: int
    words: int
    wer: float


class Groups(Options):
    """WER by group, and how far the worst one lies from the best."""

    trait: str = Field(description="sex, age, native or microphone")
    groups: list[GroupScore] = Field(description="lowest WER first")
    unknown: int = Field(default=0, description="utterances of no known group")
    gap: float = Field(description="WER of the worst less that of the best, in points")
    ci95: tuple[float, float] = Field(description="of the gap between these two, clusters drawn with replacement")
