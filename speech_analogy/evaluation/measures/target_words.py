"""WER on words that only the target's texts have, B-WER, and on all others, U-WER."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from speech_analogy.evaluation.measures.alignment import aligned
from speech_analogy.evaluation.measures.records import TargetWords


def words_only_in(target: Iterable[str], source: Iterable[str], normalise: Callable[[str], str]) -> frozenset[str]:
    """The words of the target's texts that no text of the source has, as they are scored."""
    own = {word for text in target for word in normalise(text).split()}
    return frozenset(own.difference(word for text in source for word in normalise(text).split()))


def target_words(references: Sequence[str], hypotheses: Sequence[str], vocabulary: Collection[str]) -> TargetWords:
    """Errors on the words of a vocabulary and on all others; texts are normalised, no reference is empty."""
    words, errors = {True: 0, False: 0}, {True: 0, False: 0}
    for pairs in aligned(references, hypotheses):
        for pair in pairs:
            own = (pair.hypothesis if pair.reference is None else pair.reference) in vocabulary
            words[own] += pair.reference is not None
            errors[own] += not pair.right
    return TargetWords(
        vocabulary=len(vocabulary),
        words=words[True],
        errors=errors[True],
        others=words[False],
        other_errors=errors[False],
    )
