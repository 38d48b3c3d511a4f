"""Which source domains, or groups of source texts, stand in for the target, and who sees what of them."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from lhotse import CutSet
from scipy.cluster.vq import kmeans2

from data_synth.text.scored_form import words as words_of
from data_synth.text.texts import Text
from speech_analogy.adaptation.stand_in_options import StandInOptions
from speech_analogy.corpora.cuts import domain_of, text_of
from speech_analogy.corpora.reading import UNKNOWN_SPEAKER
from speech_analogy.corpora.splits import ranked
from speech_analogy.errors import ConfigError

LEAST = 10  # texts and utterances of a stand-in
DOMAIN_TEXTS = 30  # of a domain, which comes before groups of texts; as many as the target has, where that is fewer
LARGEST_SHARE = 0.4  # of the source's utterances
SPEAKERS_SHARE = 1 / 3  # held out for one stand-in, at most
GROUPS_AT_LEAST = 4  # that texts are divided into
DIMENSIONS = 20  # of texts, when they are grouped
LABEL_WORDS = 3


@dataclass(frozen=True)
class StandIn:
    """A domain, or a group of texts, that plays the target.

    Attributes:
        label: the domain, or the group's most telling words.
        texts: all of its texts, casefolded; no training without it sees them.
        spoken: the texts that its C is trained on.
        held_out: speakers that no training of this stand-in sees; empty where speakers are unknown or too few.
        utterances: the most that are transcribed.
    """

    label: str
    kind: Literal["domain", "cluster"]
    texts: frozenset[str]
    spoken: tuple[Text, ...]
    held_out: frozenset[str]
    utterances: int

    def is_own(self, cut: Any) -> bool:
        """Does the cut speak one of its texts?"""
        return text_of(cut).casefold() in self.texts

    def source(self, cuts: Iterable[Any]) -> CutSet:
        """What is left of the source when it plays the target: other texts, other speakers."""
        return CutSet.from_cuts(c for c in cuts if not self.is_own(c) and known_speaker(c) not in self.held_out)

    def synthetic(self, cuts: Iterable[Any], texts: set[str]) -> CutSet:
        """A's speech without it: of the texts that are left (casefolded), as many clips as they had."""
        return CutSet.from_cuts(c for c in cuts if text_of(c).casefold() in texts)

    def test(self, cuts: Iterable[Any], seed: int) -> CutSet:
        """Recordings of its texts by speakers that are held out, or by all where none are."""
        own = [c for c in cuts if self.is_own(c) and (not self.held_out or known_speaker(c) in self.held_out)]
        chosen = set(ranked([c.id for c in own], seed)[: self.utterances])
        return CutSet.from_cuts(c for c in own if c.id in chosen)


def known_speaker(cut: Any) -> str | None:
    """The cut's speaker; None where it is not known."""
    speaker = cut.supervisions[0].speaker if cut.supervisions else None
    return None if not speaker or speaker == UNKNOWN_SPEAKER else str(speaker)


def choose_stand_ins(source: CutSet, target_texts: int, rules: StandInOptions, seed: int) -> tuple[list[StandIn], str]:
    """The stand-ins of a source, and in words why there are not more.

    Domains of a size like the target's come first; where the source has too few of them, groups of alike texts.

    Args:
        source: real source speech.
        target_texts: how many texts the target has.

    Raises:
        ConfigError: a domain that was named does not occur, or is too small.
    """
    limit = rules.texts or target_texts
    by_domain: dict[str, list[Any]] = {}
    for cut in source:
        by_domain.setdefault(domain_of(cut), []).append(cut)
    total = sum(map(len, by_domain.values()))
    for name in rules.domains:
        _require_fit(name, by_domain)
    fit = [
        name
        for name, cuts in by_domain.items()
        if len(by_domain) > 1
        and _is_enough(cuts)
        and len(_texts(cuts)) >= min(DOMAIN_TEXTS, limit)
        and len(cuts) <= LARGEST_SHARE * total
    ]
    wanted = list(rules.domains) or _nearest(
        fit, {name: len(_texts(by_domain[name])) for name in fit}, limit, rules.count, seed
    )
    found = [_stand_in(name, "domain", by_domain[name], source, limit, rules.utterances, seed) for name in wanted]
    if len(found) < rules.count and not rules.domains:
        rest = [cut for name, cuts in by_domain.items() if name not in wanted for cut in cuts]
        groups = grouped_texts(_texts(rest), rules.count - len(found), limit, seed)
        for label, texts in groups:
            own = [cut for cut in rest if text_of(cut).casefold() in texts]
            if _is_enough(own) and len(own) <= LARGEST_SHARE * total:
                found.append(_stand_in(label, "cluster", own, source, limit, rules.utterances, seed))
    short = "" if len(found) >= rules.count else _why_few(len(found), total, len(_texts(source)))
    return found[: rules.count], short


def _why_few(found: int, utterances: int, texts: int) -> str:
    return (
        f"the source's {utterances} utterances of {texts} texts give {found or 'no'} stand-in domains of at least "
        f"{LEAST} texts and {LEAST} utterances"
    )


def _require_fit(name: str, by_domain: dict[str, list[Any]]) -> None:
    if name not in by_domain or not _is_enough(by_domain[name]):
        there = ", ".join(sorted(domain for domain, cuts in by_domain.items() if _is_enough(cuts))) or "none"
        raise ConfigError(
            f"a stand-in domain must have {LEAST} texts and {LEAST} utterances",
            field="stand_ins.domains",
            value=name,
            do=f"there are: {there}",
        )


def _is_enough(cuts: Sequence[Any]) -> bool:
    return len(cuts) >= LEAST and len(_texts(cuts)) >= LEAST


def _texts(cuts: Iterable[Any]) -> list[str]:
    """Distinct texts in their order, as they stand."""
    return list({text_of(cut).casefold(): text_of(cut) for cut in cuts}.values())


def _nearest(names: Sequence[str], texts: dict[str, int], limit: int, count: int, seed: int) -> list[str]:
    """Those whose number of texts is most like the target's; of equal ones a seeded choice."""
    order = {name: place for place, name in enumerate(ranked(names, seed))}
    return sorted(names, key=lambda name: (abs(math.log(texts[name] / limit)), order[name]))[:count]


def _stand_in(
    label: str, kind: Literal["domain", "cluster"], own: Sequence[Any], source: CutSet, limit: int, most: int, seed: int
) -> StandIn:
    texts = {text.casefold(): text for text in _texts(own)}
    kept = set(ranked(list(texts), seed)[:limit])
    spoken = tuple(
        Text(id=f"stand-in-{number:05d}", text=text, domain=label)
        for number, (key, text) in enumerate(texts.items())
        if key in kept
    )
    return StandIn(label, kind, frozenset(texts), spoken, _held_out(own, source, most, seed), most)


def _held_out(own: Sequence[Any], source: CutSet, most: int, seed: int) -> frozenset[str]:
    """As few speakers as give enough test utterances; none where a third of them does not."""
    speakers = {speaker for cut in source if (speaker := known_speaker(cut)) is not None}
    said = Counter(known_speaker(cut) for cut in own)
    chosen: set[str] = set()
    utterances = 0
    for speaker in ranked(sorted(speakers), seed):
        if utterances >= most or len(chosen) + 1 > SPEAKERS_SHARE * len(speakers):
            break
        chosen.add(speaker)
        utterances += said[speaker]
    return frozenset(chosen) if utterances >= LEAST else frozenset()


def grouped_texts(texts: Sequence[str], count: int, limit: int, seed: int) -> list[tuple[str, frozenset[str]]]:
    """Groups of alike texts: k-means on TF-IDF of their words, in `DIMENSIONS` dimensions (latent semantic analysis).

    Returns:
        at most `count` of (label, casefolded texts), those of a size most like `limit` first.
    """
    if len(texts) < GROUPS_AT_LEAST * LEAST:
        return []
    words = [words_of(text.replace("'", " ")) for text in texts]
    number = max(GROUPS_AT_LEAST, min(len(texts) // LEAST, round(len(texts) / max(limit, LEAST))))
    points, vocabulary, weights = _points(words)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # of equal points, a group may stay empty
        warnings.simplefilter("ignore", UserWarning)
        _, labels = kmeans2(points, number, minit="++", seed=seed, iter=50)
    groups = []
    for group in range(number):
        rows = np.flatnonzero(labels == group)
        if len(rows) >= LEAST:
            typical = np.argsort(weights.mean(0) - weights[rows].mean(0))[:LABEL_WORDS]
            label = "like " + " ".join(vocabulary[at] for at in typical)
            groups.append((label, frozenset(texts[int(row)].casefold() for row in rows)))
    by_size: Callable[[tuple[str, frozenset[str]]], float] = lambda one: abs(math.log(len(one[1]) / limit))  # noqa: E731
    return sorted(groups, key=by_size)[:count]


def _points(words: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[str], np.ndarray]:
    """(texts, dimensions) of unit length; the vocabulary; (texts, words) TF-IDF."""
    within = Counter(word for own in words for word in set(own))
    vocabulary = sorted(word for word, count in within.items() if count > 1) or sorted(within)
    place = {word: at for at, word in enumerate(vocabulary)}
    weights = np.zeros((len(words), len(vocabulary)))
    for row, own in zip(weights, words, strict=True):
        for word in own:
            if word in place:
                row[place[word]] += math.log(len(words) / within[word])
    left, values, _ = np.linalg.svd(weights, full_matrices=False)
    points = left[:, :DIMENSIONS] * values[:DIMENSIONS]
    return points / (np.linalg.norm(points, axis=1, keepdims=True) + 1e-9), vocabulary, weights
