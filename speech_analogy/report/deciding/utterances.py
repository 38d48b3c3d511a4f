"""Every utterance of the test as one row of a table: reference and systems aligned, what was heard for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from speech_analogy.evaluation.results import Hypothesis
from speech_analogy.plain_text import shown
from speech_analogy.report import clips, words

WORDS_SHOWN = 60
"""A hypothesis with more words than this, a repetition loop, is cut, and the page says so."""
PAIRS_SHOWN = 30
NOTHING = "(nothing)"

Pair = tuple[str, str]
"""(said, heard): NOTHING for a word that was missed or that nobody said."""


@dataclass(frozen=True)
class UtteranceRow:
    """One utterance. `pairs` are positions in the list of pairs that filter the table; `wer` is in percent."""

    row: Hypothesis
    transcripts: Markup
    errors: int
    wer: float
    outcome: str
    change: int | None
    pairs: Sequence[int]


@dataclass(frozen=True)
class UtteranceTable:
    """All rows, and the pairs that are most often heard, with how many utterances have each."""

    rows: Sequence[UtteranceRow]
    pairs: Sequence[tuple[Pair, int]]


@dataclass(frozen=True)
class Transcribed:
    """One system of the table: `label` as a reader meets it, `accent` where the report is about it."""

    label: str
    accent: bool
    hypotheses: Sequence[Hypothesis]


def table(systems: Sequence[Transcribed], about: Sequence[Hypothesis], rival: Sequence[Hypothesis]) -> UtteranceTable:
    """Lay out the utterances of the system that the report is about, in their order.

    Args:
        systems: whose transcripts are shown, from top to bottom.
        about: hypotheses of the system that errors and pairs are counted of.
        rival: hypotheses it is compared with; may be empty.
    """
    scored = [row for row in about if row.reference_normalised.strip()]
    aligned = _aligned(scored)
    heard = {row.id: _pairs(aligned[row.id]) for row in scored}
    counted = Counter(pair for pairs in heard.values() for pair in dict.fromkeys(pairs))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], NOTHING in item[0], item[0]))[:PAIRS_SHOWN]
    numbers = {pair: number for number, (pair, _) in enumerate(ranked)}
    lines = [(one, {row.id: row for row in one.hypotheses}, _aligned(one.hypotheses)) for one in systems]
    earlier = {row.id: row for row in rival}
    rows = [
        _row(row, lines, earlier.get(row.id), [numbers[p] for p in dict.fromkeys(heard[row.id]) if p in numbers])
        for row in scored
    ]
    return UtteranceTable(rows, ranked)


def _row(
    row: Hypothesis,
    lines: Sequence[tuple[Transcribed, Mapping[str, Hypothesis], Mapping[str, Sequence[words.Word]]]],
    earlier: Hypothesis | None,
    pairs: Sequence[int],
) -> UtteranceRow:
    errors = clips.errors(row)
    same = earlier is not None and earlier.reference_normalised == row.reference_normalised
    return UtteranceRow(
        row,
        Markup("").join(
            _line(one, aligned[row.id], clips.errors(rows[row.id])) for one, rows, aligned in lines if row.id in aligned
        ),
        errors,
        100 * errors / max(row.words, 1),
        clips.outcome(earlier, row) if earlier is not None and same else ("wrong" if errors else "right"),
        errors - clips.errors(earlier) if earlier is not None and same else None,
        pairs,
    )


def _line(one: Transcribed, aligned: Sequence[words.Word], errors: int) -> Markup:
    cut = len(aligned) - WORDS_SHOWN
    more = f" … and {cut:,} more" if cut > 0 else ""
    return Markup('<p{}><b>{}</b> {}{} <i>{}</i></p>').format(
        Markup(' class="accent"') if one.accent else "", shown(one.label),
        Markup(" ").join(marked(word) for word in aligned[:WORDS_SHOWN]), more, errors or "✓",
    )  # fmt: skip


def marked(word: words.Word) -> Markup:
    """One word of an alignment, coloured by what became of it."""
    said, heard = escape(shown(word.reference or "")), escape(shown(word.recognised or ""))
    if word.kind == "equal":
        return heard
    if word.kind == "substitute":
        return Markup('<mark title="said: {}">{}</mark>').format(said, heard)
    return Markup("<del>{}</del>").format(said) if word.kind == "delete" else Markup("<ins>{}</ins>").format(heard)


def _aligned(rows: Sequence[Hypothesis]) -> dict[str, list[words.Word]]:
    kept = [row for row in rows if row.reference_normalised.strip()]
    found = words.align([row.reference_normalised for row in kept], [row.hypothesis_normalised for row in kept])
    return {row.id: one for row, one in zip(kept, found, strict=True)}


def _pairs(aligned: Sequence[words.Word]) -> list[Pair]:
    return [(word.reference or NOTHING, word.recognised or NOTHING) for word in aligned if word.kind != "equal"]
