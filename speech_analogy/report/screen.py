"""The end of a run on the terminal: the WER table and the chosen analogy's comparisons as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from speech_analogy.evaluation.results import Results, System
from speech_analogy.foundation.page import wording
from speech_analogy.report import certainty, decoders, expectation, ranking
from speech_analogy.report.details import tables as details
from speech_analogy.systems import labels

WIDTH = 100  # columns
GAP = "  "
CHOSEN = "*"


def table(results: Results) -> str:
    """The table of all systems and, below it, what the analogy at the chosen λ was compared with.

    At most WIDTH columns wide, without a final newline. Long system names are cut with an ellipsis.
    """
    if not results.systems and not results.test.utterances:
        return _unmeasured(results)
    chosen, doubt = _chosen(results), certainty.mark(results)
    head = ["system", "λ", "WER", "95 % CI", "CER", "S", "D", "I", ">100 %", "window"]
    rows = []
    for system in ranking.ordered(results):
        scale = "" if system.scale is None else wording.scale(system.scale)
        rows.append(
            [
                labels.described(system.name).short, scale + (CHOSEN if system is chosen else ""),
                wording.rate(system.wer), wording.interval(system.ci95) + doubt, wording.rate(system.cer),
                str(system.substitutions), str(system.deletions), str(system.insertions),
                str(system.over_100), system.window,
            ]
        )  # fmt: skip
    lines = [_cut(results.test.title, WIDTH), "", *_aligned(head, rows)]
    if chosen is not None and not results.published:
        lines += ["", f"{CHOSEN} λ = {wording.scale(chosen.scale or 0.0)} was chosen without the test set."]
        lines += [f"  {wording.LARGEST_SCALE}"] if ranking.has_largest_scale(results) else []
    if results.published:
        lines += ["", f"{CHOSEN} the published model."]
    over = f"95 % intervals over {certainty.counted(results.test)}."
    elsewhere = decoders.sentences(results)
    said = _wrapped(over, *certainty.cautions(results), certainty.spoken(results), *ranking.checked(results))
    said += _wrapped(details.could_tell(results))
    lines += [*_against(results), "", *said, *_by_texts(results), *_detailed(results), *_estimated(results)]
    return "\n".join([*lines, *(["", *_wrapped(*elsewhere)] if elsewhere else [])])


def _by_texts(results: Results) -> list[str]:
    """WER on the texts that TTS has spoken and on the others, where the test has both."""
    if not certainty.is_parted(results):
        return []
    rows = [
        [labels.label(one.name, one.scale), *map(wording.rate, (one.wer_spoken, one.wer_unspoken))]
        for one in ranking.shown(results)
        if one.wer_spoken is not None and one.wer_unspoken is not None
    ]
    return ["", *_aligned(["WER by texts", "spoken", "others"], rows)]


def _detailed(results: Results) -> list[str]:
    """What was found beside the WER, a table each; one of many columns is in `results.md` alone.

    Of a run it is the first, the target's own words where they are known: its report has the rest.
    """
    lines: list[str] = []
    found = details.tables(results)
    for one in found[:1] if results.seconds else found:
        cells = _aligned(one.head, one.rows)
        if max(map(len, cells)) <= WIDTH:
            lines += ["", *cells, *_wrapped(*one.notes)]
    return lines


def _chosen(results: Results) -> System | None:
    """What the table marks: the published system, else the analogy at the chosen λ."""
    return ranking.subject(results) if results.published else ranking.chosen_analogy(results)


def _estimated(results: Results) -> list[str]:
    """What stand-in domains say of the target, and their table."""
    if results.estimate is None:
        return []
    lines = _wrapped(*expectation.sentences(results))
    head, rows = expectation.table(results.estimate)
    return ["", *lines, *(["", "WER on the stand-ins:", *_aligned(head, rows)] if rows else [])]


def _unmeasured(results: Results) -> str:
    """What there is to say where no recordings of the target were given."""
    note = textwrap.wrap(results.test.note, WIDTH)
    lines = [_cut(results.test.title, WIDTH), *(["", *note] if note else [])]
    if results.selection is not None and results.estimate is None:
        scale = wording.scale(results.selection.scale)
        lines.append(f"λ = {scale} was chosen on {results.selection.scale_chosen_on}.")
    return "\n".join([*lines, *_estimated(results)])


def _against(results: Results) -> list[str]:
    """One line a comparison: difference in points, relative change, p."""
    about = ranking.subject(results)
    rows = [
        [
            f"against {labels.label(other.name)}",
            f"{wording.signed(compared.difference)} points",
            f"({wording.signed_interval(compared.ci95)}){certainty.mark(results)}",
            wording.relative(compared.relative),
            wording.p_clause(ranking.p_of(compared)),
        ]
        for other in ranking.rivals(results)
        if about is not None and (compared := ranking.comparison_of(results, about, other)) is not None
    ]
    return _aligned(None, rows) if rows else []


def _aligned(head: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns, the first left-aligned and the others right-aligned; the first is cut to fit WIDTH."""
    lines = [*([head] if head else []), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    room = WIDTH - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    widths[0] = max(min(widths[0], room), 1)
    text = [
        GAP.join(
            [_cut(line[0], widths[0]).ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in lines
    ]
    return [text[0], "─" * max(map(len, text)), *text[1:]] if head else text


def _wrapped(*sentences: str) -> list[str]:
    return [line for sentence in filter(None, sentences) for line in textwrap.wrap(sentence, WIDTH)]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
