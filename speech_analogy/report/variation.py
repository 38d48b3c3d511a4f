"""The table of runs of one recipe in which one key varies."""

from __future__ import annotations

from collections.abc import Mapping

from speech_analogy.evaluation.domain_table import AGAINST, OURS, one_each
from speech_analogy.evaluation.results import Results
from speech_analogy.report import certainty
from speech_analogy.report.domains import line

CURVE_FILE = "curve.md"


def curve_markdown(title: str, note: str, key: str, found: Mapping[str, Results], values: int) -> str:
    """A row for each value, a column for each system (WER with its interval), and the analogy compared with C.

    Args:
        title, note: of the recipe.
        key: the recipe's key that is varied.
        found: value -> what was measured, of the runs that are finished.
        values: how many there will be.
    """
    lines = [f"# {title}: {key}", ""]
    if note:
        lines += [" ".join(note.split()), ""]
    if len(found) < values:
        lines += [f"Under way: {len(found)} of {values} values.", ""]
    if not found:
        return "\n".join(lines)
    systems = {value: one_each(results) for value, results in found.items()}
    names = list(next(iter(systems.values())))
    test = next(iter(found.values())).test
    over = f"WER in percent on {test.utterances} utterances, with 95 % intervals over {certainty.counted(test)}."
    lines += [over, "", *([doubt, ""] if (doubt := certainty.caution(test.clusters, test.cluster)) else [])]
    lines += [one for said in certainty.met(test) for one in (said, "")]
    compared = OURS in names and AGAINST in names
    heads = [key, *names, *(["λ"] if OURS in names else []), *([f"{OURS} − {AGAINST}"] if compared else [])]
    lines += [line(heads), "|" + "--:|" * len(heads)]
    for value, own in systems.items():
        cells = [
            value,
            *(f"{own[name].wer:.1f} {_interval(own[name].ci95, '.1f', doubt)}" for name in names),
        ]
        if OURS in names:
            scale = own[OURS].scale
            cells.append("" if scale is None else f"{scale:g}")
        if compared:
            [one] = [c for c in found[value].comparisons if c.against == AGAINST]
            cells.append(f"{one.difference:+.1f} {_interval(one.ci95, '+.1f', doubt)}")
        lines.append(line(cells))
    return "\n".join(lines) + "\n"


def _interval(low_high: tuple[float, float], form: str, doubt: str) -> str:
    return f"({low_high[0]:{form}} to {low_high[1]:{form}})" + (f" {certainty.TOO_NARROW}" if doubt else "")
