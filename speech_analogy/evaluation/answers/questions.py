"""What is asked of every system beside its WER, and the system with the answers that its transcripts give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from speech_analogy.evaluation.measures.entities import entity_recall
from speech_analogy.evaluation.measures.groups import by_group
from speech_analogy.evaluation.measures.target_words import target_words, words_only_in
from speech_analogy.evaluation.measures.terms import RARE, rare_terms, term_score
from speech_analogy.evaluation.normalise import Normaliser
from speech_analogy.evaluation.results import Hypothesis, System
from speech_analogy.recognisers.checking.loops import loops


@dataclass(frozen=True)
class Question:
    """What is asked of transcripts.

    Attributes:
        own_words: words that only the target's texts have, normalised; None: the texts are not known.
        terms: names, products and the like; none: no terms are counted.
        chosen: where the terms come from, in words.
    """

    normalise: Normaliser
    own_words: frozenset[str] | None = None
    terms: tuple[str, ...] = ()
    chosen: str = ""


def question(
    normalise: Normaliser,
    *,
    language: str = "en",
    target: Iterable[str] | None = None,
    source: Iterable[str] | None = None,
    terms: Sequence[str] = (),
    chosen: str = "",
) -> Question:
    """A question from texts and terms.

    Args:
        target, source: texts of the target and of the source; with both, B-WER and U-WER are asked.
        terms: those to be counted; none: the rare ones of the target's own words, where these are known.
        chosen: where the given terms come from, in words.
    """
    own = None if target is None or source is None else words_only_in(target, source, normalise)
    if terms or own is None:
        return Question(normalise, own, tuple(terms), chosen)
    return Question(normalise, own, tuple(rare_terms(own, language)), RARE)


def answered(system: System, rows: Sequence[Hypothesis], asked: Question) -> System:
    """The system with what its transcripts say to the question, and with its loops and its groups."""
    references = [row.reference_normalised for row in rows]
    hypotheses = [row.hypothesis_normalised for row in rows]
    found: dict[str, object] = {
        "loops": sum(loops(row.hypothesis) for row in rows),
        "groups": by_group(
            [row.traits for row in rows],
            np.array([row.substitutions + row.deletions + row.insertions for row in rows], dtype=np.int64),
            np.array([row.words for row in rows], dtype=np.int64),
            [row.cluster for row in rows],
        ),
        "entities": entity_recall(references, hypotheses, [row.entities for row in rows], asked.normalise),
    }
    if asked.own_words:
        found["target_words"] = target_words(references, hypotheses, asked.own_words)
    if asked.terms:
        found["terms"] = term_score(references, hypotheses, asked.terms, asked.normalise, asked.chosen)
    if (duration_s := sum(row.duration_s for row in rows)) and system.seconds:
        found["real_time_factor"] = system.seconds / duration_s
    return system.model_copy(update=found)
