"""`results.md`: the tables of a run as Markdown, made to be pasted into a recipe's RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speech_analogy.cards.markup import code, text
from speech_analogy.evaluation.environment import differences
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.page import wording
from speech_analogy.report import certainty, decoders, expectation, ranking
from speech_analogy.report.details import tables as details
from speech_analogy.report.details.voices import voices
from speech_analogy.systems import labels

LEFT, RIGHT = ":--", "--:"
DEFAULTS_NOTE = "Nobody gave these values, or gave them so. Files are named from the project's root."


def render(results: Results) -> str:
    """The whole document."""
    parts = [f"# {text(results.test.title)}"]
    parts += [_about(results), wer_table(results)] if results.systems else [note(results)]
    parts += expectation_section(results)
    elsewhere = decoders.sentences(results)
    parts += [f"## {decoders.HEADING}", "\n".join(f"- {text(one)}" for one in elsewhere)] if elsewhere else []
    if results.comparisons:
        parts += ["## Ranking", _ranking(results), "## Paired comparisons", _comparisons(results)]
    parts += [*_spoken(results), *_detailed(results)]
    if results.selection:
        parts += ["## What was chosen", *_selection(results)]
    if results.defaults:
        parts += ["## What was chosen by default", DEFAULTS_NOTE, defaults_table(results)]
    if results.found:
        parts += ["## What was found", "\n".join(f"- {text(line)}" for line in results.found)]
    if results.counts:
        parts += ["## Training data", _mappings("set", results.counts)]
    parts += ["## Provenance", *_provenance(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(results: Results) -> str:
    test = results.test
    if not results.systems:
        return "There are no recordings of the target, so nothing was measured on it."
    lines = [
        f"Test: {wording.plural(test.utterances, 'utterance')} of "
        f"{certainty.speakers(test)}, {wording.duration(test.duration_s)}"
        + (f"; domain: {text(wording.listing(test.domains))}." if test.domains else "."),
        f"WER in percent after the normaliser {text(test.normaliser)}; 95 % intervals"
        f"{'' if results.too_few_clusters else ' and p-values'} over {text(certainty.counted(test))}; "
        f"{wording.plural(test.dropped_empty_references, 'reference')} dropped that normalised to nothing.",
    ]
    return "\n".join(lines) + (f"\n\n{note(results)}" if test.note else "")


def note(results: Results) -> str:
    """What a reader must know of the test, as a quotation; empty where there is nothing."""
    return f"> {text(results.test.note)}" if results.test.note else ""


def defaults_table(results: Results) -> str:
    """The values that nobody gave, each with what supports it and where the figures are."""
    rows = [
        [f"`{code(row.key)}`", text(row.value), text(row.why), f"`{code(row.table)}`" if row.table else ""]
        for row in results.defaults
    ]
    return _table(["key", "value", "why", "figures"], rows, left=(0, 1, 2, 3))


def wer_table(results: Results) -> str:
    """The WER of every system, and what to be careful about; the published one, or the chosen λ, is bold."""
    if not results.systems:
        return ""
    chosen = ranking.subject(results) if results.published else ranking.chosen_analogy(results)
    doubt = certainty.mark(results)
    rows = []
    for system in ranking.ordered(results):
        scale = "" if system.scale is None else wording.scale(system.scale)
        wer, mark = wording.rate(system.wer), ""
        if system is chosen:
            wer, mark = f"**{wer}**", " (published)" if results.published else " (chosen)"
        rows.append(
            [
                f"{text(labels.described(system.name).short)} (`{code(system.name)}`)", scale + mark, wer,
                wording.interval(system.ci95) + doubt, wording.rate(system.cer), wording.rate(system.raw_wer),
                wording.amount(system.substitutions), wording.amount(system.deletions),
                wording.amount(system.insertions), wording.amount(system.over_100), system.window,
            ]
        )  # fmt: skip
    head = ["system", "λ", "WER", "95 % CI", "CER", "raw WER", "S", "D", "I", "over 100 %", "window"]
    checked = [f"- {text(sentence)}" for sentence in ranking.checked(results)]
    notes = ["Loops and silence:", "\n".join(checked)] if checked else []
    return "\n\n".join([_table(head, rows, left=(0, 10)), *_caution(results), *notes])


def _caution(results: Results) -> list[str]:
    return [text(one) for one in certainty.cautions(results)]


def _ranking(results: Results) -> str:
    """Every system once, the lowest WER first, beside what the subject of the report does better or worse."""
    about, found, doubt = ranking.subject(results), ranking.ranked(results), certainty.mark(results)
    kept, seeds = (
        any(values) for values in ([s.source_wer is not None for s in found], [s.wer_of_seeds for s in found])
    )
    head = ["rank", "system ranked", "WER", "95 % CI"]
    head += ["WER of seeds"] if seeds else []
    head += ["WER on source"] if kept else []
    head += [f"{text(labels.label(about.name, about.scale))} less this" if about else "", "95 % CI", "p"]
    rows = []
    for place, system in enumerate(found, start=1):
        compared = None if about is None else ranking.comparison_of(results, about, system)
        row = [str(place), text(labels.label(system.name, system.scale))]
        row += [wording.rate(system.wer), wording.interval(system.ci95) + doubt]
        row += [", ".join(map(wording.rate, system.wer_of_seeds))] if seeds else []
        row += ["" if system.source_wer is None else wording.rate(system.source_wer)] if kept else []
        if compared:
            row += [wording.signed(compared.difference), wording.signed_interval(compared.ci95) + doubt]
            row.append(wording.p_value(ranking.p_of(compared)))
        else:
            row += ["", "", ""]
        rows.append(row)
    notes = ["p-values are Holm's, for all comparisons of the run."] if _corrected(results) else []
    notes += ["WER on source: on held-out source speech, i.e. how much of it a system keeps."] if kept else []
    parts = [_table(head, rows, left=(1,)), *([" ".join(notes)] if notes else []), *_caution(results)]
    return "\n\n".join(parts)


def _corrected(results: Results) -> bool:
    return any(row.p_holm is not None for row in results.comparisons)


def _spoken(results: Results) -> list[str]:
    """What TTS has spoken of the test, and WER on that and on the rest."""
    said = certainty.spoken(results)
    if not said or not certainty.is_parted(results):
        return [f"## Texts\n\n{said}"] if said else []
    rows = [
        [
            text(labels.label(system.name, system.scale)),
            *("" if wer is None else wording.rate(wer) for wer in (system.wer_spoken, system.wer_unspoken)),
        ]
        for system in ranking.shown(results)
    ]
    table = _table(["system by texts", "WER on spoken texts", "WER on others"], rows, left=(0,))
    return ["## Texts", said, table, *_caution(results)]


def _detailed(results: Results) -> list[str]:
    """What was found beside the WER, a section each."""
    found: list[str] = []
    spoken = voices(results)
    for one in [*details.tables(results), *([spoken] if spoken else [])]:
        rows = [list(map(text, row)) for row in one.rows]
        found += [f"## {text(one.heading)}", _table(list(map(text, one.head)), rows, left=(0, *one.left))]
        found += list(map(text, one.notes))
    return found


def _comparisons(results: Results) -> str:
    corrected, doubt = _corrected(results), certainty.mark(results)
    rows = [
        [
            text(labels.label(row.system, row.scale)), text(labels.label(row.against)),
            wording.signed(row.difference), wording.signed_interval(row.ci95) + doubt,
            f"{wording.signed(100 * row.relative)} %", wording.p_value(row.p_value),
            *([wording.p_value(ranking.p_of(row))] if corrected else []),
        ]
        for row in results.comparisons
    ]  # fmt: skip
    head = ["system", "against", "difference", "95 % CI", "relative", "p", *(["p (Holm)"] if corrected else [])]
    told = text(details.could_tell(results))
    return "\n\n".join([_table(head, rows, left=(0, 1)), *([told] if told else []), *_caution(results)])


def expectation_section(results: Results) -> list[str]:
    """What stand-in domains say of the target, under its heading; nothing where there were none."""
    if results.estimate is None:
        return []
    head, rows = expectation.table(results.estimate)
    listed = "\n".join(f"- {text(one)}" for one in expectation.sentences(results))
    return [
        "## What is published, and what to expect",
        listed,
        *([_table(list(map(text, head)), [list(map(text, row)) for row in rows], left=(0,))] if rows else []),
    ]


def _selection(results: Results) -> list[str]:
    selection = results.selection
    parts: list[str] = []
    if selection is None:
        return parts
    if selection.scale_chosen_on:
        shown = " The test set's WER over λ is shown, never used to choose." if results.systems else ""
        chosen_on = text(selection.scale_chosen_on)
        parts.append(f"λ = {wording.scale(selection.scale)}, chosen on {chosen_on}.{shown}")
    if ranking.has_largest_scale(results):
        parts.append(wording.LARGEST_SCALE)
    if selection.scale_curve:
        rows = [[wording.scale(point.scale), wording.rate(point.wer)] for point in selection.scale_curve]
        parts.append(_table(["λ", "held-out WER"], rows, left=()))
    if selection.strategies:
        parts.append(
            "Strategies that choose λ; regret is the WER at the chosen λ less the lowest of the curve that is reported."
        )
        parts.append(
            _table(
                ["strategy", "λ", "regret", "chosen on"],
                [
                    [
                        text(row.strategy.replace("_", " ")) + (" (taken)" if row.taken else ""),
                        wording.scale(row.scale),
                        "" if row.regret is None else wording.rate(row.regret),
                        text(row.chosen_on),
                    ]
                    for row in selection.strategies
                ],
                left=(0, 3),
            )
        )
    if selection.training:
        parts.append(_mappings("system", selection.training))
    return parts


def _provenance(results: Results) -> list[str]:
    facts = [f"recipe: {text(results.test.recipe)}"]
    facts += [f"{text(name)}: {text(value)}" for name, value in results.machine.items()]
    if results.versions:
        facts.append(f"versions: {', '.join(f'{text(k)} {text(v)}' for k, v in results.versions.items())}")
    if results.seconds:
        stages = (f"{text(name)} {wording.duration(seconds)}" for name, seconds in results.seconds.items())
        facts.append(f"time: {', '.join(stages)}; in all {wording.duration(sum(results.seconds.values()))}")
    facts += [f"made otherwise: {text(line)}" for line in differences(results.made)]
    listed = "\n".join(f"- {fact}" for fact in facts)
    command = f"```sh\n{results.command.replace('```', '')}\n```" if results.command else ""
    return [listed, command]


def _mappings(first: str, rows: dict[str, dict[str, float]]) -> str:
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    cells = [
        [text(labels.label(name)), *(wording.amount(row[c]) if c in row else "" for c in columns)]
        for name, row in rows.items()
    ]
    return _table([first, *(text(column.replace("_", " ")) for column in columns)], cells, left=(0,))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int]) -> str:
    rule = [LEFT if index in left else RIGHT for index in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
