"""What the user's run works with, once it has been read: source, test and unlabelled recordings, and texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lhotse import CutSet

from data_synth.text.texts import Text
from speech_analogy.adaptation.data_options import CorpusOptions, HoldOut
from speech_analogy.adaptation.split import Split, divide_source
from speech_analogy.foundation.digests import digest as digest_of


@dataclass(frozen=True)
class ReadCorpus:
    """A corpus as its reader found it.

    Attributes:
        options: its kind, its path, which is absolute, and its reader's options.
        cuts: every usable utterance.
        digest: of all of them and their audio.
    """

    options: CorpusOptions
    cuts: CutSet
    digest: str


@dataclass(frozen=True)
class ReadAudio:
    """Recordings without texts: where they are, the cuts, their digest."""

    path: Path
    cuts: CutSet
    digest: str


@dataclass(frozen=True)
class UserData:
    """All of it; `source`, `test` and `unlabelled` are None where the recipe names none."""

    source: ReadCorpus | None
    texts: tuple[Text, ...]
    test: ReadCorpus | None = None
    unlabelled: ReadAudio | None = None

    def parts(self, hold_out: HoldOut | None, utterances: int | None, seed: int) -> Split:
        """As the planner takes a divided corpus; unlabelled recordings stand where the target's for training would.

        Raises:
            DataError, ConfigError: the source cannot be divided so.
        """
        nothing = CutSet.from_cuts([])
        train, dev = nothing, nothing
        if self.source is not None:
            train, dev = divide_source(self.source.cuts, hold_out, utterances, seed)
        unlabelled = nothing if self.unlabelled is None else self.unlabelled.cuts
        test = nothing if self.test is None else self.test.cuts
        return Split(train, dev, unlabelled, nothing, test, list(self.texts))

    @property
    def texts_digest(self) -> str:
        """Of every text with its id and domain, in order."""
        return digest_of([[text.id, text.text, text.domain] for text in self.texts])
