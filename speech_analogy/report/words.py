"""Word by word: which words one system has right that another has wrong, and how they were recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import jiwer

from speech_analogy.evaluation.results import Hypothesis

Step = Literal["equal", "substitute", "delete", "insert"]
_STEPS: dict[str, Step] = {step: step for step in get_args(Step)}


@dataclass(frozen=True)
class Word:
    """One step of an alignment: `reference` is None for an insertion, `recognised` is None for a deletion."""

    kind: Step
    reference: str | None
    recognised: str | None


@dataclass(frozen=True)
class WordChange:
    """A reference word on which two systems differ.

    Attributes:
        word: the normalised reference word.
        said: how often it is said in the test set.
        corrected: how often only the later system has it right.
        broken: how often only the earlier system has it right.
        recognised: what the wrong one of the two put in its place, most frequent first; None is nothing at all.
    """

    word: str
    said: int
    corrected: int
    broken: int
    recognised: tuple[tuple[str | None, int], ...]


@dataclass(frozen=True)
class WordChanges:
    """Two systems compared on the reference's words: totals, and the words that changed most often."""

    words: int
    corrected: int
    broken: int
    inserted_before: int
    inserted_after: int
    most_corrected: tuple[WordChange, ...]
    most_broken: tuple[WordChange, ...]


def align(references: Sequence[str], hypotheses: Sequence[str]) -> list[list[Word]]:
    """Align each hypothesis with its reference by the fewest edits (jiwer); words are split at spaces.

    Args:
        references: N normalised references, none of them empty.
        hypotheses: N normalised hypotheses.
    """
    if not references:
        return []
    output = jiwer.process_words(list(references), list(hypotheses))
    alignments: list[list[Word]] = []
    for reference, hypothesis, chunks in zip(output.references, output.hypotheses, output.alignments, strict=True):
        words: list[Word] = []
        for chunk in chunks:
            said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            recognised = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
            for index in range(max(len(said), len(recognised))):
                left = said[index] if index < len(said) else None
                right = recognised[index] if index < len(recognised) else None
                words.append(Word(_STEPS[chunk.type], left, right))
        alignments.append(words)
    return alignments


def paired(before: Sequence[Hypothesis], after: Sequence[Hypothesis]) -> list[tuple[Hypothesis, Hypothesis]]:
    """Utterances that both decoded against one and the same non-empty reference, in the order of `before`."""
    later = {row.id: row for row in after}
    both = ((row, later[row.id]) for row in before if row.id in later)
    return [
        (row, other)
        for row, other in both
        if row.reference_normalised.strip() and row.reference_normalised == other.reference_normalised
    ]


def changes(before: Sequence[Hypothesis], after: Sequence[Hypothesis], limit: int = 12) -> WordChanges:
    """Count the reference words that exactly one of two systems has right.

    Args:
        before: hypotheses of the system compared with.
        after: hypotheses of the system the report is about.
        limit: how many words each of the two lists keeps.
    """
    pairs = paired(before, after)
    references = [row.reference_normalised for row, _ in pairs]
    earlier = align(references, [row.hypothesis_normalised for row, _ in pairs])
    later = align(references, [row.hypothesis_normalised for _, row in pairs])
    said: Counter[str] = Counter()
    corrected: dict[str, Counter[str | None]] = {}
    broken: dict[str, Counter[str | None]] = {}
    for old, new in zip(earlier, later, strict=True):
        for was, now in zip(_of_reference(old), _of_reference(new), strict=True):
            word = was.reference or ""
            said[word] += 1
            if was.kind != "equal" and now.kind == "equal":
                corrected.setdefault(word, Counter())[was.recognised] += 1
            elif was.kind == "equal" and now.kind != "equal":
                broken.setdefault(word, Counter())[now.recognised] += 1
    return WordChanges(
        words=said.total(),
        corrected=sum(recognised.total() for recognised in corrected.values()),
        broken=sum(recognised.total() for recognised in broken.values()),
        inserted_before=_insertions(earlier),
        inserted_after=_insertions(later),
        most_corrected=_ranked(corrected, corrected, broken, said)[:limit],
        most_broken=_ranked(broken, corrected, broken, said)[:limit],
    )


def _of_reference(alignment: list[Word]) -> list[Word]:
    return [word for word in alignment if word.reference is not None]


def _insertions(alignments: list[list[Word]]) -> int:
    return sum(word.reference is None for alignment in alignments for word in alignment)


def _ranked(
    counted: dict[str, Counter[str | None]],
    corrected: dict[str, Counter[str | None]],
    broken: dict[str, Counter[str | None]],
    said: Counter[str],
) -> tuple[WordChange, ...]:
    """Words by falling count, equal counts in the alphabet's order."""
    found = [
        WordChange(
            word,
            said[word],
            corrected.get(word, Counter()).total(),
            broken.get(word, Counter()).total(),
            tuple(sorted(recognised.items(), key=lambda item: (-item[1], item[0] or ""))),
        )
        for word, recognised in counted.items()
    ]
    return tuple(sorted(found, key=lambda change: (-counted[change.word].total(), change.word)))
