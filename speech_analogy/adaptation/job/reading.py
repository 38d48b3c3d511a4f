"""Reading what the user's run is about, before any work: texts, source, test and unlabelled audio, each with advice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lhotse import CutSet

from data_synth.text.sources import TextsFound, gather_texts
from speech_analogy.adaptation.data_options import CorpusOptions, GivenCorpus, TargetOptions
from speech_analogy.adaptation.split import corpus_reading, fit_for_a_window
from speech_analogy.adaptation.user_data import ReadAudio, ReadCorpus
from speech_analogy.corpora.cuts import read_unlabelled, speaker_of
from speech_analogy.corpora.read import kind_of
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.page.wording import duration, plural

TEXTS_ADVICE = "give each recording its text: metadata.csv with the columns file_name,text, or NAME.txt beside NAME.wav"
STANDARD_INPUT = "-"


@dataclass(frozen=True)
class CorpusFound:
    """A corpus, and what is said of it.

    Attributes:
        read: for the plan.
        speakers: how many are known; 0 where an utterance has none.
        languages: of the texts, as the corpus itself says; empty where it does not.
        line: all of it in words.
    """

    read: ReadCorpus
    speakers: int
    languages: tuple[str, ...]
    line: str

    @property
    def utterances(self) -> int:
        return len(self.read.cuts)


def read_source_or_test(given: GivenCorpus, what: str, folder: Path, language: str) -> CorpusFound:
    """The source's or the test's utterances; headers are trusted, so that it takes seconds.

    Args:
        what: `source` or `test`, for messages.
        folder: the recipe's.

    Raises:
        DataError: nothing is there, no reader recognises it, or it has no utterance with a text.
        ConfigError: an unknown kind or option.
    """
    path = given.beside(folder)
    if not path.exists():
        raise DataError(f"the {what} is not there", file=path, do=f"name a folder of recordings with texts as {what}")
    kind = given.kind or kind_of(path)
    if kind is None:
        raise DataError(f"no reader recognises the {what}", file=path, do=_kind_advice(what, path))
    options = CorpusOptions(kind=kind, path=str(path), options=given.options)
    try:
        reading = corpus_reading(options, language, path, decode=False, progress=False)
    except DataError as error:
        if error.do is not None:
            raise
        raise DataError(f"the {what} cannot be used: {error.rule}", file=path, do=TEXTS_ADVICE) from None
    cuts = fit_for_a_window(reading.cuts)
    if not len(cuts):
        raise DataError(f"every recording of the {what} is longer than 30 s", file=path, do="cut them into utterances")
    speakers = _speakers(cuts)
    left_out = Counter(problem.rule for problem in reading.problems)
    if len(cuts) < len(reading.cuts):
        left_out["longer than 30 s"] = len(reading.cuts) - len(cuts)
    line = (
        f"{what}: {given.path} ({kind}): {_amount(cuts)}, "
        f"{plural(speakers, 'speaker') if speakers else 'speakers not known'}, {_domains(cuts)}"
        + (f"; left out: {_listed(left_out)}" if left_out else "")
    )
    return CorpusFound(ReadCorpus(options, cuts, digest(cuts)), speakers, _languages(cuts), line)


def read_audio(path: str, folder: Path) -> tuple[ReadAudio, str]:
    """The unlabelled recordings, and what is said of them.

    Raises:
        DataError: there are none.
    """
    place = (folder / Path(path).expanduser()).resolve()
    if not place.exists():
        raise DataError("the unlabelled audio is not there", file=place, do="name a folder of recordings")
    cuts, longer = read_unlabelled(place)
    line = f"unlabelled: {path}: {_amount(cuts)}" + (f"; left out: {longer} longer than 30 s" if longer else "")
    return ReadAudio(place, cuts, digest(cuts)), line


def read_target_texts(target: TargetOptions, name: str, folder: Path, seed: int) -> TextsFound:
    """The target's texts, each once.

    Raises:
        DataError: a file cannot be read, or there is no usable text.
        ConfigError: standard input is named where it cannot be kept.
    """
    for source in target.texts:
        if source.path == STANDARD_INPUT:
            rule = "standard input can only be named on the command line of `adapt`"
            raise ConfigError(rule, field="target.texts", value=STANDARD_INPUT, do="write the texts into a file")
    return gather_texts(target.texts, folder, name, seed)


def _amount(cuts: CutSet) -> str:
    return f"{plural(len(cuts), 'utterance')}, {duration(sum(cut.duration for cut in cuts))}"


def _domains(cuts: CutSet) -> str:
    names = sorted({str(cut.custom["domain"]) for cut in cuts})
    return f"{plural(len(names), 'domain')}" if len(names) > 1 else f"domain {names[0]}"


def _languages(cuts: CutSet) -> tuple[str, ...]:
    tags = {str(cut.supervisions[0].language) for cut in cuts if cut.supervisions[0].language}
    return tuple(sorted({tag.casefold().replace("_", "-").partition("-")[0] for tag in tags}))


def _speakers(cuts: CutSet) -> int:
    names = {speaker_of(cut) for cut in cuts}
    return 0 if "" in names else len(names)


def _listed(counts: Counter[str]) -> str:
    return "; ".join(f"{count} because {rule}" for rule, count in counts.most_common())


def _kind_advice(what: str, path: Path) -> str:
    if path.is_dir() and not any(path.iterdir()):
        return "the folder is empty"
    return f"{TEXTS_ADVICE}; or say what it is, KIND:PATH, with a kind of `speech-analogy corpus import --help`"
