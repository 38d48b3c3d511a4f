"""Who sees what: a corpus divided into source and target, training, held-out and test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lhotse import CutSet

from data_synth.text.texts import Text
from speech_analogy.adaptation.data_options import CorpusOptions, HoldOut, SplitOptions
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.corpora.cuts import LONGEST_CUT_S, domain_of, text_of
from speech_analogy.corpora.read import read_corpus, write_cuts
from speech_analogy.corpora.reading import CorpusReading
from speech_analogy.corpora.splits import by_domain, hold_out_prompts, hold_out_speakers, ranked, subset
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.user_files.json_text import read_objects

SOURCE_PARTS = ("source_train", "source_dev")
PARTS = (*SOURCE_PARTS, "target_train", "target_dev", "test")


@dataclass(frozen=True)
class Split:
    """The parts of a corpus; `target_train` and `target_dev` are empty where a recipe has none."""

    source_train: CutSet
    source_dev: CutSet
    target_train: CutSet
    target_dev: CutSet
    test: CutSet
    target_texts: list[Text]

    def part(self, name: str) -> CutSet:
        cuts: CutSet = getattr(self, name)
        return cuts


def read_cuts_of(
    corpus: CorpusOptions, language: str, folder: Path, *, decode: bool = True, progress: bool = True
) -> CutSet:
    """Every usable utterance of a recipe's corpus. `decode=False` is quicker and trusts the files' headers."""
    path = (folder / corpus.path).resolve()
    if not path.exists():
        raise DataError("the corpus is not there", file=path, do="give its folder with --data")
    return corpus_reading(corpus, language, path, decode=decode, progress=progress).cuts


def fit_for_a_window(cuts: CutSet) -> CutSet:
    """The cuts that are no longer than a Whisper window."""
    return CutSet.from_cuts(cut for cut in cuts if cut.duration <= LONGEST_CUT_S)


def corpus_reading(corpus: CorpusOptions, language: str, path: Path, *, decode: bool, progress: bool) -> CorpusReading:
    """A recipe's corpus as its reader finds it at `path`, with what cannot be used."""
    options = {**corpus.options, "language": language, "decode": decode, "progress": progress}
    return read_corpus(corpus.kind, path, **options)


def split(cuts: CutSet, recipe: Recipe) -> Split:
    """Divide as the recipe says; see `divide`."""
    return divide(cuts, recipe.experiment.split, recipe.seed)


def divide(cuts: CutSet, rules: SplitOptions, seed: int) -> Split:
    """Divide by rules; seeded, no held-out speaker or prompt in training.

    With a `field`, the corpus's own training part gives source training speech and the target's texts, and its
    test part the target's test recordings. Without it the target is a closed vocabulary: all of its texts are known,
    and its recordings serve for the test alone, but for the few held out as `target_dev`.

    Raises:
        DataError, ConfigError: a part is left empty, or a domain does not occur.
    """
    nothing = CutSet.from_cuts([])
    if rules.field is None:
        target, source = by_domain(cuts, rules.target_domains)
        texts, target_train, test = target, nothing, target
    else:
        train = _having(cuts, rules.field, rules.train)
        target_train, source = by_domain(train, rules.target_domains)
        texts = target_train
        test, _ = by_domain(_having(cuts, rules.field, rules.test), rules.target_domains)
    target_dev = nothing
    if rules.target_dev is not None:
        test, target_dev = _hold_out(test, rules.target_dev, seed)
    if rules.source_domains is not None:
        known = sorted({domain_of(cut) for cut in source})
        if rules.source_domains > len(known):
            value = f"{rules.source_domains} of {len(known)}"
            raise ConfigError("there are not that many source domains", field="split.source_domains", value=value)
        wanted = set(ranked(set(known), seed)[: rules.source_domains])
        source = CutSet.from_cuts(cut for cut in source if domain_of(cut) in wanted)
    source, source_dev = _hold_out(source, rules.source_dev, seed)
    if rules.source_utterances is not None:
        source = subset(source, rules.source_utterances, seed)
    spoken = texts_of(texts, unique=True)
    if rules.target_texts is not None:
        wanted = {text.id for text in spoken}
        kept = subset(CutSet.from_cuts(c for c in texts if c.id in wanted), rules.target_texts, seed)
        spoken = texts_of(kept)
    return Split(source, source_dev, target_train, target_dev, test, spoken)


def divide_source(cuts: CutSet, rule: HoldOut | None, utterances: int | None, seed: int) -> tuple[CutSet, CutSet]:
    """Source speech for training, of which a seeded subset may be taken, and what is held out of it, if anything is.

    Raises:
        DataError, ConfigError: a side would be empty.
    """
    train, dev = (cuts, CutSet.from_cuts([])) if rule is None else _hold_out(cuts, rule, seed)
    return (train if utterances is None else subset(train, utterances, seed)), dev


def leave_out(cuts: CutSet, domains: Iterable[str]) -> CutSet:
    """The cuts of all other domains."""
    unwanted = set(domains)
    return CutSet.from_cuts(cut for cut in cuts if domain_of(cut) not in unwanted) if unwanted else cuts


def write_parts(parts: Split, folder: Path) -> None:
    """Write every part that is not empty as `PART.jsonl.gz`."""
    for name in PARTS:
        if len(parts.part(name)):
            write_cuts(parts.part(name), folder / f"{name}.jsonl.gz", overwrite=True)


def write_texts(texts: Iterable[Text], path: Path) -> None:
    """Write texts, one JSON object a line."""
    lines = [json.dumps({"id": text.id, "text": text.text, "domain": text.domain}) for text in texts]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_texts(path: Path) -> list[Text]:
    """Read what `write_texts` wrote."""
    try:
        return [Text(**row) for row in read_objects(path)]
    except TypeError as error:
        raise DataError(f"not a file of texts: {error}", file=path) from None


def texts_of(cuts: CutSet, *, unique: bool = False) -> list[Text]:
    """The texts of cuts, each under its cut's id; `unique` keeps the first of equal ones."""
    texts: list[Text] = []
    seen: set[tuple[str, str]] = set()
    for cut in cuts:
        text, domain = text_of(cut), domain_of(cut)
        if unique and (text.casefold(), domain) in seen:
            continue
        seen.add((text.casefold(), domain))
        texts.append(Text(id=cut.id, text=text, domain=domain))
    return texts


def _having(cuts: CutSet, field: str, value: str) -> CutSet:
    found = [cut for cut in cuts if str((cut.custom or {}).get(field)) == value]
    if not found:
        raise DataError("no utterance has this value", field=f"split.field {field}", value=value)
    return CutSet.from_cuts(found)


def _hold_out(cuts: CutSet, rule: HoldOut, seed: int) -> tuple[CutSet, CutSet]:
    if rule.speakers is not None:
        return hold_out_speakers(cuts, count=rule.speakers, seed=seed)
    return hold_out_prompts(cuts, count=rule.prompts, seed=seed)
