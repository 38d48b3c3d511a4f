"""Word and character errors of hypotheses against references, counted by jiwer, utterance by utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np

from speech_analogy.errors import DataError


@dataclass(frozen=True)
class Errors:
    """Errors per utterance; every array is (utterances,) int64."""

    substitutions: np.ndarray
    deletions: np.ndarray
    insertions: np.ndarray
    words: np.ndarray
    """Units of the reference: words, or characters for a CER."""

    @property
    def total(self) -> np.ndarray:
        """S + D + I per utterance."""
        return np.asarray(self.substitutions + self.deletions + self.insertions)

    @property
    def rate(self) -> float:
        """100 (S + D + I) / N over all utterances: a percentage that can be over 100."""
        return 100.0 * float(self.total.sum()) / float(self.words.sum())


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> Errors:
    """Word errors as they stand: normalise first if that is wanted. DataError where a reference has no word."""
    _check(references, hypotheses)
    return _counts(jiwer.process_words(list(references), list(hypotheses)))


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> Errors:
    """Character errors, spaces included, as jiwer's CER counts them."""
    _check(references, hypotheses)
    return _counts(jiwer.process_characters(list(references), list(hypotheses)))


def _check(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise DataError(f"{len(references)} references need as many hypotheses", value=len(hypotheses))
    if not references:
        raise DataError("nothing to score: there is no reference")
    for index, reference in enumerate(references):
        if not reference.strip():
            raise DataError("a reference must have a word", field=f"reference {index}", value=reference)


def _counts(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Errors:
    counts = np.zeros((len(output.references), 4), dtype=np.int64)
    for row, reference, chunks in zip(counts, output.references, output.alignments, strict=True):
        row[3] = len(reference)
        for chunk in chunks:
            if chunk.type == "substitute":
                row[0] += chunk.ref_end_idx - chunk.ref_start_idx
            elif chunk.type == "delete":
                row[1] += chunk.ref_end_idx - chunk.ref_start_idx
            elif chunk.type == "insert":
                row[2] += chunk.hyp_end_idx - chunk.hyp_start_idx
    return Errors(*counts.T)
