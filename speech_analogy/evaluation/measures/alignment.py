"""Words of references and hypotheses side by side, as jiwer aligns them with the fewest edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class Pair:
    """A word of the reference and the one in its place; None: nothing stands there."""

    reference: str | None
    hypothesis: str | None

    @property
    def right(self) -> bool:
        return self.reference == self.hypothesis


def aligned(references: Sequence[str], hypotheses: Sequence[str]) -> list[list[Pair]]:
    """The pairs of every utterance, in order; no reference may be empty."""
    output = jiwer.process_words(list(references), list(hypotheses))
    return [
        [pair for chunk in chunks for pair in _pairs(chunk, reference, hypothesis)]
        for reference, hypothesis, chunks in zip(output.references, output.hypotheses, output.alignments, strict=True)
    ]


def _pairs(chunk: jiwer.AlignmentChunk, reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    own = reference[chunk.ref_start_idx : chunk.ref_end_idx]
    other = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
    if chunk.type == "delete":
        return [Pair(word, None) for word in own]
    if chunk.type == "insert":
        return [Pair(None, word) for word in other]
    return [Pair(word, said) for word, said in zip(own, other, strict=True)]
