"""`report.html`: results and hypotheses laid out for the template, which only prints them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import jinja2
from markupsafe import Markup

from speech_analogy.evaluation.environment import TOOLKIT, differences
from speech_analogy.evaluation.results import Comparison, Hypothesis, Results, System, read_hypotheses
from speech_analogy.foundation.page import wording
from speech_analogy.foundation.page.scripts import table_script
from speech_analogy.foundation.page.templating import template_environment
from speech_analogy.report import certainty, clips, decoders, expectation, figures, ranking, words
from speech_analogy.report.deciding import using, utterances, verdict
from speech_analogy.report.details import tables as details
from speech_analogy.report.details.voices import voices
from speech_analogy.systems import labels

MODEL_FOLDER = "model"
"""Of a run, below it."""
LISTENED_MOST = 100  # recordings in the table of utterances: a tenth of a second each to encode
LISTENED_BYTES = 4_000_000
"""Of recordings in the table of utterances, as they stand in the page: a page of thousands stays under 15 MB."""


@dataclass(frozen=True)
class AlignedTranscript:
    """One system's transcript of a clip, aligned with the reference; `more` words were cut from a loop."""

    label: str
    accent: bool
    errors: int
    words: Sequence[words.Word]
    more: int


@dataclass(frozen=True)
class ComparedClip:
    """One utterance to listen to; `audio` is a data: URI, or None where the recording is missing."""

    outcome: str
    reference: str
    about: str
    audio: str | None
    transcripts: Sequence[AlignedTranscript]
    id: str


@dataclass
class Material:
    """The contents of the hypotheses files, and remarks on what is missing."""

    hypotheses: dict[str, list[Hypothesis]] = field(default_factory=dict)  # by hypotheses_file
    changes: words.WordChanges | None = None
    clips: list[ComparedClip] = field(default_factory=list)
    table: utterances.UtteranceTable | None = None
    audio: dict[str, str] = field(default_factory=dict)  # of the table, by utterance; a clip's own is not there again
    remarks: list[str] = field(default_factory=list)

    def of(self, system: System | None) -> list[Hypothesis]:
        """The hypotheses of a system; none where it or its file is missing."""
        return [] if system is None else self.hypotheses.get(system.hypotheses_file, [])


def render(results: Results, run: Path, good_enough: float | None = None, source: str = "") -> str:
    """The whole page as one string; the hypotheses and recordings that `run` still has are embedded.

    Args:
        good_enough: the WER in percent that the user needs, which the verdict is measured against.
        source: the digest of the results' file, which the page then names; see `source_of`.
    """
    about, rivals = ranking.subject(results), ranking.rivals(results)
    rival = rivals[0] if rivals else None
    material = gather(results, run, about, rival)
    return _environment().get_template("report.html.jinja").render(
        results=results,
        source=source,
        toolkit=version(TOOLKIT),
        about=about,
        rival=rival,
        headline=_tight(headline(results)),
        verdict=[_tight(one) for one in verdict.sentences(results, good_enough)],
        ready=using.ready(run, MODEL_FOLDER),
        script=table_script() if material.table else None,
        linked={clip.id: number for number, clip in enumerate(material.clips, 1) if clip.audio},
        against=[(system, _compared(results, about, system)) for system in rivals],
        systems=ranking.ordered(results),
        checked=ranking.checked(results),
        ranked=ranking.ranked(results) if results.comparisons else [],
        corrected=any(row.p_holm is not None for row in results.comparisons),
        shown=ranking.shown(results),
        grid=ranking.grid(results),
        chosen=ranking.chosen_analogy(results),
        bars=bars(results),
        dev_curve=dev_curve(results),
        test_curve=test_curve(results),
        doubt=certainty.mark(results),
        differences=differences,
        caution=" ".join(certainty.cautions(results)),
        spoken=certainty.spoken(results),
        parted=certainty.is_parted(results),
        detailed=details.tables(results),
        voices=voices(results),
        beyond=wording.LARGEST_SCALE if ranking.has_largest_scale(results) else "",
        kept_curve=kept_curve(results),
        scale_rows=scale_rows(results),
        compared=len({(row.system, row.scale) for row in results.comparisons}),
        count_columns=_columns(results.counts.values()),
        training_columns=_columns(results.selection.training.values()) if results.selection else [],
        trial_columns=_columns(results.selection.training_trials) if results.selection else [],
        material=material,
        expected=expectation.sentences(results),
        elsewhere=decoders.sentences(results),
        elsewhere_heading=decoders.HEADING,
        expected_table=expectation.table(results.estimate) if results.estimate else None,
    )  # fmt: skip


def source_of(html: str) -> tuple[str, str]:
    """The digest of the results that a page shows, and the toolkit's version that wrote it; empty of earlier pages."""
    found = re.search(r'<meta name="results" content="(\w*) ([^"]*)">', html)
    return (found.group(1), found.group(2)) if found else ("", "")


def headline(results: Results) -> str:
    """The finding in one plain sentence: the analogy against TTS fine-tuning alone, where both were run."""
    about, rivals = ranking.subject(results), ranking.rivals(results)
    domains = wording.listing(results.test.domains) or results.test.title
    if about is None:
        return _expected_headline(results) or f"Nothing was measured on {domains}"
    subject = "the analogy" if about.name == labels.SUBJECT else labels.label(about.name, about.scale)
    if not rivals:
        return f"On {domains}, {subject} has a word error rate of {wording.rate(about.wer)} %"
    rival = "TTS fine-tuning alone" if rivals[0].name == labels.ADAPTED else labels.label(rivals[0].name)
    compared = _compared(results, about, rivals[0])
    change = compared.relative if compared else _relative(about, rivals[0])
    if compared and ranking.p_of(compared) is not None and not ranking.is_clear(compared):
        return f"On {domains}, no clear difference between {subject} and {rival}"
    than = "as" if wording.relative(change).startswith("as") else "than"
    untested = f"; too few {results.test.cluster}s to test it" if results.too_few_clusters else ""
    return f"On {domains}, {subject} makes {wording.relative(change)} {than} {rival}{untested}"


def _expected_headline(results: Results) -> str:
    """Of a run without a test: the gain that is expected."""
    estimate = results.estimate
    if estimate is None:
        return ""
    if estimate.wer is None:
        return f"{results.test.title}: adapted, and how well is not known"
    if not estimate.gained:
        return f"{results.test.title}: nothing is gained by adapting"
    return f"{results.test.title}: a word error rate of about {wording.rate(estimate.wer.value)} % is expected"


def bars(results: Results) -> Markup:
    """The WER bars: the subject in the accent colour, ceilings pale."""
    about = ranking.subject(results)
    return figures.bars(
        [
            figures.WerBar(
                labels.label(system.name, system.scale), system.wer, *system.ci95,
                style=_style(system, about),
            )
            for system in ranking.shown(results)
        ]
    )  # fmt: skip


def _style(system: System, about: System | None) -> str:
    if system is about:
        return "accent"
    return "pale" if labels.described(system.name).ceiling else "plain"


def dev_curve(results: Results) -> Markup:
    """WER on held-out speech over λ: what λ was chosen by."""
    if not results.selection or not results.selection.scale_curve:
        return Markup("")
    points = [figures.CurvePoint(point.scale, point.wer) for point in results.selection.scale_curve]
    span = [scale for scale, _, _ in scale_rows(results)]
    return figures.curve(points, "WER on what λ was chosen by, over λ", results.selection.scale, span=span)


def test_curve(results: Results) -> Markup:
    """WER on the test set over λ, with intervals: shown, never used to choose."""
    chosen = ranking.chosen_analogy(results)
    rows = scale_rows(results)
    return figures.curve(
        [figures.CurvePoint(scale, tested.wer, *tested.ci95) for scale, _, tested in rows if tested],
        "WER on the test set over λ",
        chosen.scale if chosen else None,
        style="accent",
        span=[scale for scale, _, _ in rows],
    )


def kept_curve(results: Results) -> Markup:
    """WER on held-out source speech over λ: what is kept of it; nothing where the run did not measure it."""
    rows = scale_rows(results)
    points = [figures.CurvePoint(scale, s.source_wer) for scale, _, s in rows if s and s.source_wer is not None]
    chosen = ranking.chosen_analogy(results)
    return figures.curve(
        points,
        "WER on held-out source speech over λ",
        chosen.scale if chosen and points else None,
        span=[scale for scale, _, _ in rows],
    )


def scale_rows(results: Results) -> list[tuple[float, float | None, System | None]]:
    """(λ, WER on held-out speech, the analogy on the test set) for every λ that either has.

    λ = 0 leaves C as it is, so C's own row of the table stands there where the grid has none.
    """
    curve = results.selection.scale_curve if results.selection else []
    held_out = {point.scale: point.wer for point in curve}
    tested = {system.scale: system for system in ranking.grid(results) if system.scale is not None}
    alone = ranking.find(results, labels.ADAPTED)
    if tested and alone and all(system.window == alone.window for system in tested.values()):
        tested.setdefault(0.0, alone)
    return [(scale, held_out.get(scale), tested.get(scale)) for scale in sorted({*held_out, *tested})]


def gather(results: Results, run: Path, about: System | None, rival: System | None) -> Material:
    """Read the hypotheses the page needs; a missing file becomes a remark, a broken one a DataError."""
    material = Material()
    for system in ranking.listened(results):
        path = run / system.hypotheses_file
        if path.is_file():
            material.hypotheses[system.hypotheses_file] = read_hypotheses(path)
        else:
            label = labels.label(system.name, system.scale)
            material.remarks.append(f"The hypotheses of “{label}” are missing ({system.hypotheses_file}).")
    before, after = material.of(rival), material.of(about)
    if before and after:
        material.changes = words.changes(before, after)
    after = after or before
    if after:
        found = _located(run, after, material)
        material.clips = _clips(results, material, before or after, after, found)
        material.table = _table(results, material, before, after)
        material.audio = _listened(material, after, found)
    return material


def _table(
    results: Results, material: Material, before: list[Hypothesis], after: list[Hypothesis]
) -> utterances.UtteranceTable:
    about = ranking.subject(results)
    shown = [
        utterances.Transcribed(labels.label(system.name, system.scale), system is about, material.of(system))
        for system in ranking.listened(results)
        if material.of(system)
    ]
    return utterances.table(shown, after, before if before is not after else [])


def _listened(material: Material, after: list[Hypothesis], found: Mapping[str, Path]) -> dict[str, str]:
    """Recordings for the table, in the order of a fixed draw, LISTENED_MOST at most."""
    has = {clip.id for clip in material.clips if clip.audio}
    embedded: dict[str, str] = {}
    left = LISTENED_BYTES
    for row in sorted(after, key=lambda row: clips.draw(row.id)):
        if row.id in has or row.id not in found:
            continue
        audio = clips.embed(found[row.id])
        if audio is None:
            continue
        left -= len(audio)
        if left < 0 or len(embedded) == LISTENED_MOST:
            break
        embedded[row.id] = audio
    return embedded


def _located(run: Path, after: list[Hypothesis], material: Material) -> dict[str, Path]:
    """The recordings that are still there, by utterance; a remark counts the others."""
    found = {row.id: path for row in after if (path := clips.locate(row.audio, run)) is not None}
    if len(found) < len(after):
        count = wording.plural(len(after) - len(found), "recording")
        material.remarks.append(
            f"{count} of {len(after):,} not found at the recorded paths; such clips have no player."
        )
    return found


def _clips(
    results: Results,
    material: Material,
    before: list[Hypothesis],
    after: list[Hypothesis],
    found: Mapping[str, Path],
) -> list[ComparedClip]:
    shown = [system for system in ranking.listened(results) if material.of(system)]
    about = ranking.subject(results)
    alone = {"as many errors": "wrong", "right in both": "right"}  # the labels where there is one system alone
    made: list[ComparedClip] = []
    for choice in clips.choose(before, after, frozenset(found)):
        row = choice.row
        audio = clips.embed(found[row.id]) if row.id in found else None
        if row.id in found and audio is None:
            material.remarks.append(f"The recording of {row.id} cannot be read: {found[row.id].name}.")
        transcripts = [_transcript(system, material, row.id, system is about) for system in shown]
        made.append(
            ComparedClip(
                outcome=choice.outcome if before is not after else alone[choice.outcome],
                reference=row.reference,
                about=_about(row),
                audio=audio,
                transcripts=[one for one in transcripts if one is not None],
                id=row.id,
            )
        )
    return made


def _about(row: Hypothesis) -> str:
    cut = f", the first {clips.CLIP_LONGEST_S:g} s" if row.duration_s > clips.CLIP_LONGEST_S else ""
    speaker = f"speaker {row.speaker}" if row.speaker else "speaker unknown"
    return f"{row.domain}, {speaker}, {row.duration_s:.1f} s{cut}"


def _transcript(system: System, material: Material, utterance: str, accent: bool) -> AlignedTranscript | None:
    row = next((row for row in material.of(system) if row.id == utterance), None)
    if row is None or not row.reference_normalised.strip():
        return None
    (aligned,) = words.align([row.reference_normalised], [row.hypothesis_normalised])
    return AlignedTranscript(
        labels.label(system.name, system.scale),
        accent,
        row.substitutions + row.deletions + row.insertions,
        aligned[: utterances.WORDS_SHOWN],
        max(len(aligned) - utterances.WORDS_SHOWN, 0),
    )


def _compared(results: Results, about: System | None, against: System) -> Comparison | None:
    return None if about is None else ranking.comparison_of(results, about, against)


def _relative(system: System, against: System) -> float:
    return (system.wer - against.wer) / against.wer if against.wer else 0.0


def _tight(sentence: str) -> str:
    """No line break between a number and its percent sign, nor inside `λ = 0.75`."""
    return sentence.replace(" %", f"{wording.NBSP}%").replace("λ = ", f"λ{wording.NBSP}={wording.NBSP}")


def _columns(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """The keys of all rows, in the order in which they first occur."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _environment() -> jinja2.Environment:
    environment = template_environment("speech_analogy.report")
    for name in ("rate", "signed", "interval", "signed_interval", "p_value", "scale", "amount", "listing"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["kind"] = labels.described
    environment.filters["duration"] = lambda seconds: wording.duration(seconds).replace(" ", wording.NBSP)
    environment.filters["relative"] = lambda value: _tight(wording.relative(value))
    environment.globals["label"] = lambda *named: _tight(labels.label(*named))
    environment.globals["compared_with"] = _compared
    environment.globals.update(p_of=ranking.p_of, is_clear=ranking.is_clear)
    environment.globals.update(counted=certainty.counted, speakers=certainty.speakers)
    environment.globals.update(plural=wording.plural, relative_change=_relative)
    return environment
