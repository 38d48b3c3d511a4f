"""What every reader yields (utterances and problems), and how these become checked Lhotse cuts."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from lhotse import CutSet, MonoCut, MultiCut, SupervisionSegment
from pydantic import Field

from data_synth.audio.headers import header_problem
from data_synth.text.scored_form import words
from speech_analogy.corpora.audio import decoded_samples, decodes_fast, recording_of
from speech_analogy.corpora.cut_checks import RECORDED_FILE, recorded_file, remembered_of, span_of
from speech_analogy.errors import DataError, shortened
from speech_analogy.foundation.options import LanguageCode, Options
from speech_analogy.foundation.progress import bar
from speech_analogy.foundation.user_files.tables import BrokenLine, TableRow, table_rows

Usable: TypeAlias = MonoCut | MultiCut
PROMPT_DIGITS = 16  # hex digits of sha256 that name a prompt
UNKNOWN_SPEAKER = "unknown"
MOST_UNKNOWN = 0.5  # share of utterances without a speaker above which speakers count as unknown
MOST_CHARACTERS_S, SPOKEN_FAST_S = 50, 1.0  # the fastest speech has half of that; and for a hasty cut
NO_SPEAKER = frozenset({"", UNKNOWN_SPEAKER, "none", "null", "nan", "n/a", "-", "?"})  # as corpora write it
CHECKING_THREADS = min(8, os.cpu_count() or 1)
CHECKED_IN_TURN = 16  # clips: threads for fewer cost more than they save
HEADER_TOLERANCE_SAMPLES = 1
SPAN_TOLERANCE_S = 0.025  # by which a stated end may miss the audio's

MISSING_AUDIO = "the audio file is missing"
EMPTY_TEXT = "the text is empty"
NOT_UNICODE = "id, text, speaker, domain or file name is not valid Unicode (a lone surrogate)"
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000
SHORTEST_S = 0.01  # of audio in which anything can be said
NO_SAMPLES = "the audio has no samples"
NOT_A_TEXT = "the text must be a string"
LONGEST_ID = 1000  # characters
LONGEST_SHOWN_PATH = 500  # characters in a message
MANIFEST_KEYS = {"width", "sources", "array", "shape", "num_features"}  # by which Lhotse knows its own
DUPLICATE_ID = "the id occurs twice; the first is kept"
DUPLICATE_AUDIO = "the recording is listed twice; the first is kept"


@dataclass(frozen=True)
class CorpusUtterance:
    """One line of a corpus before its audio is looked at."""

    id: str
    audio: Path
    text: str
    speaker: str
    domain: str
    language: str = "en"
    prompt: str | None = None  # what groups repetitions; None: the normalised text
    kind: str = "real"  # or "synthetic", for speech that a corpus brings ready-made
    start_s: float = 0.0
    duration_s: float | None = None  # None: to the end of the file
    custom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """One utterance that could not be used: which, in which file, and the rule it breaks."""

    id: str
    file: str
    rule: str


@dataclass(frozen=True)
class Note:
    """Something to be said of a corpus as a whole, such as its tables' columns, or audio that they do not list."""

    text: str


class NothingUsableError(DataError):
    """A corpus without one usable utterance; `problems` has the reason of each."""

    def __init__(self, rule: str, problems: Sequence[Problem], *, file: Path, do: str | None = None) -> None:
        super().__init__(rule, file=file, do=do)
        self.problems = tuple(problems)


@dataclass(frozen=True)
class CorpusReading:
    """The result of reading a corpus: usable cuts, everything else with its reason, how many were seen, and notes."""

    cuts: CutSet
    problems: list[Problem]
    read: int
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Counts and minutes by domain, and problems by rule, in a few lines of text."""
        minutes: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        for cut in self.cuts:
            counts[cut.custom["domain"]] += 1
            minutes[cut.custom["domain"]] += cut.duration / 60
        lines = [f"{self.read} read, {counts.total()} kept ({minutes.total():.1f} min)"]
        lines += [f"  {domain}: {n} ({minutes[domain]:.1f} min)" for domain, n in sorted(counts.items())]
        mixed = sum(isinstance(cut, MultiCut) for cut in self.cuts)
        if mixed:
            lines.append(f"  mixed down from several channels: {mixed}")
        contents = Counter((remembered_of(cut)[0] or cut.id, cut.start, cut.duration) for cut in self.cuts)
        if contents.total() > len(contents):
            lines.append(f"  the same audio as another's, in a file of its own: {contents.total() - len(contents)}")
        rules = Counter(problem.rule for problem in self.problems)
        lines += [f"  left out, {rule}: {n}" for rule, n in rules.most_common()]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)


class ReaderOptions(Options):
    """What every reader takes."""

    language: LanguageCode = "en"
    # Decode files once, so that a broken one is found now and not during training. None: all but Ogg (Opus,
    # Vorbis), where it takes long and a truncated file shows by its header.
    decode: bool | None = None
    channel: int | None = Field(
        default=None, ge=0, description="of audio that has several, counted from 0; None: the mean of all"
    )
    progress: bool = True


@dataclass(frozen=True)
class Reader:
    """A kind of corpus, registered under its name in the entry-point group `speech_analogy.corpus_readers`.

    Args:
        options: what can be set about it.
        utterances: lists a corpus's utterances, given its path and options.
        remote: the path may also be a name that is no file, as of a dataset on a hub.
        recognises: whether what lies at a path is such a corpus, by names of files alone; None: it must be named.
        general: it recognises much, so that a reader which is made for the corpus goes before it.
    """

    options: type[ReaderOptions]
    utterances: Callable[[Path, Any], Iterable[CorpusUtterance | Problem | Note]]
    remote: bool = False
    recognises: Callable[[Path], bool] | None = None
    general: bool = False


def read_rows(path: Path) -> Iterator[TableRow | Problem]:
    """The rows of a table with their line numbers; a broken line is a problem, not an end.

    Raises:
        DataError: see `table_rows`.
    """
    for row in table_rows(path, missing="the metadata file is missing"):
        yield Problem(f"line {row.line}", str(path), row.rule) if isinstance(row, BrokenLine) else row


def normalised(text: str) -> str:
    """Lower case, words only, single spaces: two texts that differ in punctuation are one prompt."""
    return " ".join(words(text))


def prompt_of(text: str) -> str:
    """The prompt a text belongs to: a prefix of the sha256 of the normalised text."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:PROMPT_DIGITS]


def text_in(value: object) -> str | None:
    """What a field says as a text: numbers are texts, nothing is an empty one; None of lists, objects and truths."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def speaker_name(value: object) -> str:
    """A corpus's word for who speaks; UNKNOWN_SPEAKER where it has none."""
    name = "" if value is None else str(value).strip()
    return UNKNOWN_SPEAKER if name.casefold() in NO_SPEAKER else name


def build_cuts(
    found: Iterable[CorpusUtterance | Problem | Note], options: ReaderOptions, source: Path
) -> CorpusReading:
    """Check every utterance's text, id and audio, and make one cut with one supervision of each.

    Args:
        found: what a reader yields, in the corpus's order, which the cuts keep.
        options: `decode` and `progress` are used here.
        source: the corpus, for the error.

    Raises:
        DataError: no utterance is left.
    """
    listed = list(found)
    entries = [entry for entry in listed if not isinstance(entry, Note)]
    notes = tuple(entry.text for entry in listed if isinstance(entry, Note))
    problems: list[Problem] = []
    cuts: list[Usable] = []
    for result in _checked(entries, options):
        (problems if isinstance(result, Problem) else cuts).append(result)
    if not cuts:
        rule = f"no usable utterance among {len(entries)}{_most_common(problems)}{_first(problems)}"
        raise NothingUsableError("; ".join((rule, *notes)), problems, file=source)
    return CorpusReading(CutSet.from_cuts(cuts), problems, len(entries), notes)


def _checked(entries: list[CorpusUtterance | Problem], options: ReaderOptions) -> Iterator[Usable | Problem]:
    seen: set[Any] = set()
    check = partial(_cut, options=options)
    with ExitStack() as stack:
        shown = stack.enter_context(bar(len(entries), "audio", "clips", show=options.progress))
        few = len(entries) <= CHECKED_IN_TURN
        pool = None if few else stack.enter_context(ThreadPoolExecutor(CHECKING_THREADS))
        for entry, cut in zip(entries, (pool.map if pool else map)(check, entries), strict=True):
            shown.update()
            if not isinstance(cut, Problem) and cut.id in seen:
                assert isinstance(entry, CorpusUtterance)
                cut = Problem(entry.id, str(entry.audio), DUPLICATE_ID)
            elif not isinstance(cut, Problem) and span_of(cut) in seen:
                cut = Problem(cut.id, str(cut.recording.sources[0].source), DUPLICATE_AUDIO)
            if not isinstance(cut, Problem):
                seen |= {cut.id, span_of(cut)}
            yield cut


def _cut(entry: CorpusUtterance | Problem, options: ReaderOptions) -> Usable | Problem:
    """One utterance as a cut, or what is wrong with it."""
    if isinstance(entry, Problem):
        return entry
    if not entry.text.strip():
        return Problem(_written(entry.id), _written(str(entry.audio)), EMPTY_TEXT)
    own = (entry.id, entry.text, entry.speaker, entry.domain, entry.language, entry.prompt, str(entry.audio))
    if not all(map(_is_unicode, (*own, json.dumps(_plain(entry.custom), ensure_ascii=False, default=str)))):
        return Problem(ascii(entry.id), ascii(str(entry.audio)), NOT_UNICODE)
    if not entry.id.strip() or len(entry.id) > LONGEST_ID:
        return Problem(entry.id[:LONGEST_ID], str(entry.audio), f"the id must have 1 to {LONGEST_ID} characters")
    try:
        recording = recording_of(entry.audio, entry.id)
        if recording.num_samples <= 0:
            return Problem(entry.id, str(entry.audio), NO_SAMPLES)
        if options.channel is not None and options.channel not in recording.channel_ids:
            return Problem(entry.id, str(entry.audio), f"the audio has no channel {options.channel}")
        if not LOWEST_RATE_HZ <= recording.sampling_rate <= HIGHEST_RATE_HZ:
            return Problem(entry.id, str(entry.audio), f"a rate of {recording.sampling_rate:g} Hz holds no speech")
        problem = header_problem(entry.audio)
        if problem is not None:
            return Problem(entry.id, str(entry.audio), problem)
        wanted = decodes_fast(recording) if options.decode is None else options.decode
        decoded = decoded_samples(entry.audio) if wanted else recording.num_samples
    except DataError as error:
        return Problem(entry.id, str(entry.audio), error.rule)
    if abs(decoded - recording.num_samples) > HEADER_TOLERANCE_SAMPLES:
        rule = "the audio is truncated: fewer samples decode than its header says"
        return Problem(entry.id, str(entry.audio), rule)
    duration = recording.duration - entry.start_s if entry.duration_s is None else entry.duration_s
    if not (math.isfinite(entry.start_s) and math.isfinite(duration)):
        return Problem(entry.id, str(entry.audio), "start or duration is no finite number")
    over = entry.start_s + duration - recording.duration
    if entry.start_s < 0 or over > SPAN_TOLERANCE_S:
        return Problem(entry.id, str(entry.audio), "the span lies outside the audio")
    if abs(over) <= SPAN_TOLERANCE_S:  # rounded in the manifest: it ends where the audio ends
        duration = recording.duration - entry.start_s
    if duration * recording.sampling_rate < 1:
        return Problem(entry.id, str(entry.audio), NO_SAMPLES)
    if duration < SHORTEST_S:
        return Problem(entry.id, str(entry.audio), "the audio is too short for speech")
    if len(entry.text) > MOST_CHARACTERS_S * (duration + SPOKEN_FAST_S):
        return Problem(entry.id, str(entry.audio), "the text is longer than can be spoken in the time")
    return _usable(entry, recording, duration, options.channel)


def _written(words: str) -> str:
    """Words that can be written; a lone surrogate is spelt out."""
    return words if _is_unicode(words) else ascii(words)


def _plain(custom: Mapping[str, Any]) -> dict[str, Any]:
    """A corpus's own fields, without those that are absent, no numbers, or what Lhotse would take for a manifest."""
    return {
        key: value
        for key, value in custom.items()
        if value is not None
        and not (isinstance(value, float) and not math.isfinite(value))
        and not (isinstance(value, dict) and MANIFEST_KEYS & value.keys())
    }


def _is_unicode(text: str | None) -> bool:
    """False for a lone surrogate, which JSON can hold and UTF-8 cannot."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        return False
    return True


def _usable(entry: CorpusUtterance, recording: Any, duration: float, channel: int | None) -> Usable:
    """A cut of one channel; where there are several and none is named, one of all, which is heard as their mean."""
    several = recording.num_channels > 1 and channel is None
    supervision = SupervisionSegment(
        id=entry.id,
        recording_id=entry.id,
        start=0.0,
        duration=duration,
        text=entry.text,
        language=entry.language,
        speaker=speaker_name(entry.speaker),
        custom={RECORDED_FILE: recorded_file(entry.audio)},
    )
    custom = {
        **_plain(entry.custom),
        "domain": entry.domain,
        "kind": entry.kind,
        "prompt": entry.prompt or prompt_of(entry.text),
    }
    kind: type[Usable] = MultiCut if several else MonoCut
    return kind(
        id=entry.id,
        start=entry.start_s,
        duration=duration,
        channel=recording.channel_ids if several else recording.channel_ids[0] if channel is None else channel,
        recording=recording,
        supervisions=[supervision],
        custom=custom,
    )


def _first(problems: list[Problem]) -> str:
    """Where the first of them is: the first path that was sought, or the first line of a table."""
    if not problems:
        return ""
    return f"; the first is {shortened(problems[0].id)}: {shortened(problems[0].file, LONGEST_SHOWN_PATH)}"


def _most_common(problems: list[Problem]) -> str:
    if not problems:
        return ""
    rule, count = Counter(problem.rule for problem in problems).most_common(1)[0]
    return f"; most often ({count} times): {rule}"
