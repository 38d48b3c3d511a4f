"""The systems of a run in plain words: what each is called, what it is, which ones are set side by side."""

from __future__ import annotations

from collections import Counter

from speech_analogy.evaluation.results import Comparison, Results, System
from speech_analogy.foundation.page import wording
from speech_analogy.systems.labels import MAIN, RIVALS, SUBJECT, described, label, place


def ordered(results: Results) -> list[System]:
    """All systems from the base to the ceilings, equal names by λ."""
    return sorted(results.systems, key=lambda system: (place(system.name), system.name, system.scale or 0.0))


def find(results: Results, name: str, scale: float | None = None) -> System | None:
    """The system of that name: at that λ if one is given, else the chosen one, else the only one."""
    named = [system for system in results.systems if system.name == name]
    if scale is not None:
        return next((system for system in named if system.scale == scale), None)
    preferred = [system for system in named if system.chosen] or (named if len(named) == 1 else [])
    return preferred[0] if preferred else None


def chosen_analogy(results: Results) -> System | None:
    """The analogy at the λ that was chosen without the test set; None where there is none."""
    found = find(results, SUBJECT)
    if found is None and results.selection is not None:
        found = find(results, SUBJECT, results.selection.scale)
    return found


def shown(results: Results) -> list[System]:
    """One row per system for the bars: of a grid of λ only the chosen one, where one was chosen."""
    analogy = chosen_analogy(results)
    taken = Counter(system.name for system in results.systems if system.chosen or system is analogy)
    return [system for system in ordered(results) if not taken[system.name] or system.chosen or system is analogy]


def ranked(results: Results) -> list[System]:
    """One row per system, the lowest WER first; of a grid of λ only the chosen one."""
    return sorted(shown(results), key=lambda system: system.wer)


def p_of(comparison: Comparison) -> float | None:
    """The p-value to judge by: corrected for all comparisons of the run where that was done; None without one."""
    return comparison.p_value if comparison.p_holm is None else comparison.p_holm


def is_clear(comparison: Comparison) -> bool:
    """Is the difference called one? Never without a p-value."""
    p = p_of(comparison)
    return p is not None and p < wording.P_CLEAR


def has_largest_scale(results: Results) -> bool:
    """Is the chosen λ the end of the curve it was chosen by, so that the best one may lie beyond?"""
    curve = results.selection.scale_curve if results.selection else []
    return len(curve) > 1 and results.selection is not None and results.selection.scale == max(p.scale for p in curve)


def grid(results: Results) -> list[System]:
    """The analogy at every λ that was decoded on the test set, by λ."""
    return [system for system in ordered(results) if system.name == SUBJECT and system.scale is not None]


def subject(results: Results) -> System | None:
    """What the report is about: what was decided on, the chosen analogy, the first comparison's, or the lowest WER."""
    if results.published:
        return find(results, results.published)
    analogy = chosen_analogy(results)
    if analogy is not None:
        return analogy
    for comparison in results.comparisons:
        system = find(results, comparison.system, comparison.scale)
        if system is not None:
            return system
    return min(results.systems, key=lambda system: system.wer, default=None)


def rivals(results: Results) -> list[System]:
    """What the subject is compared with: RIVALS that were run, then any other comparisons."""
    about = subject(results)
    names = [*RIVALS, *(comparison.against for comparison in results.comparisons)]
    found = (find(results, name) for name in dict.fromkeys(names) if not described(name).ceiling)
    return [system for system in found if system is not None and system is not about]


def comparison_of(results: Results, system: System, against: System) -> Comparison | None:
    """The paired comparison of these two, where the run made it."""
    for comparison in results.comparisons:
        if find(results, comparison.system, comparison.scale) is system and comparison.against == against.name:
            return comparison
    return None


def listened(results: Results) -> list[System]:
    """The systems whose hypotheses are printed under a clip: MAIN, and the subject and its first rival."""
    about = subject(results)
    wanted = [system for name in MAIN if (system := find(results, name)) is not None]
    wanted += [about] if about is not None else []
    wanted += rivals(results)[:1]
    return [system for system in ordered(results) if any(system is other for other in wanted)]


def checked(results: Results) -> list[str]:
    """A sentence for each system whose first pass looped or wrote words on silence."""
    return [_checked(system) for system in ordered(results) if system.one_pass_wer is not None or system.silent]


def _checked(system: System) -> str:
    found = []
    if system.fell_back:
        found.append(f"{wording.plural(system.fell_back, 'utterance')} looped and fell back")
    if system.silent:
        found.append(
            f"{wording.plural(system.silent, 'utterance')} taken for silence, without the "
            f"{wording.plural(system.silent_words, 'word')} that one pass wrote there"
        )
    before = "" if system.one_pass_wer is None else f"; WER of one pass {wording.rate(system.one_pass_wer)}"
    return f"{label(system.name, system.scale)}: {', '.join(found)}{before}."
