"""Score a system on recordings with known texts, and compare two systems on the same recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lhotse import CutSet

from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.errors import DataError
from speech_analogy.evaluation.grouping import Cluster, grouped
from speech_analogy.evaluation.measures.utterances import Utterance, utterances_of
from speech_analogy.evaluation.normalise import Normaliser, NormaliserName, normaliser
from speech_analogy.evaluation.results import Comparison, Hypothesis, System
from speech_analogy.evaluation.score import Errors, character_errors, word_errors
from speech_analogy.evaluation.significance import compare, wer_interval
from speech_analogy.evaluation.transcribe import Transcription, transcribe
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.protocol import Transcriber
from speech_analogy.recognisers.windows import window_kind

CHECKED = ("fell_back", "silent", "silent_words")  # counts of a system


@dataclass(frozen=True)
class Evaluation:
    """A system's score, its transcripts, and how many references were dropped as empty.

    `cluster` is what the interval was taken over; the note says why, where that is not what was asked for.
    """

    system: System
    hypotheses: list[Hypothesis]
    dropped_empty_references: int
    cluster: Cluster = "speaker"
    cluster_note: str = ""


def evaluate(
    cuts: str | Path | CutSet,
    model: str | Path | Transcriber,
    *,
    decoding: DecodingOptions = DEFAULT_DECODING,
    name: str = "model",
    scale: float | None = None,
    cluster: Cluster = "speaker",
    hypotheses_file: str = "",
    normalise_as: NormaliserName | None = None,
    progress: bool = True,
) -> Evaluation:
    """Transcribe and score: WER and CER on normalised texts, WER on raw ones, a clustered 95 % interval.

    Args:
        cuts: recordings with texts.
        model: weights by name or folder, or what transcribes already.
        decoding: window, beams, backend, ...; its language is that of the texts, too.
        name, scale: of the system, for the results.
        cluster: what the interval is taken over: `prompt` where one prompt is spoken often, else `speaker`;
            by prompt too where speakers are not known.
        normalise_as: what of the texts counts; None: the language's own normaliser.

    Raises:
        DataError: every reference normalises to nothing, or a cut has no text.
        CheckpointError: the model cannot be loaded.
    """
    eager = cuts_of(cuts)
    transcription = transcribe(eager, model, decoding=decoding, progress=progress)
    return score(
        eager,
        transcription,
        name=name,
        scale=scale,
        language=decoding.language,
        cluster=cluster,
        hypotheses_file=hypotheses_file,
        normalise_as=normalise_as,
    )


def score(
    cuts: CutSet,
    transcription: Transcription,
    *,
    name: str = "model",
    scale: float | None = None,
    language: str = "en",
    cluster: Cluster = "speaker",
    hypotheses_file: str = "",
    normalise_as: NormaliserName | None = None,
) -> Evaluation:
    """Score transcripts against the texts of their cuts (same order); see `evaluate`."""
    return score_utterances(
        utterances_of(cuts, transcription),
        name=name,
        scale=scale,
        language=language,
        cluster=cluster,
        hypotheses_file=hypotheses_file,
        normalise_as=normalise_as,
        window=window_kind(transcription.window),
        backend=transcription.backend,
        seconds=transcription.seconds,
    )


def score_utterances(
    utterances: Sequence[Utterance],
    *,
    name: str = "model",
    scale: float | None = None,
    language: str = "en",
    cluster: Cluster = "speaker",
    hypotheses_file: str = "",
    normalise_as: NormaliserName | None = None,
    window: Literal["trimmed", "full", ""] = "",
    backend: str = "",
    seconds: float = 0.0,
) -> Evaluation:
    """Score transcripts of any system; see `evaluate`.

    Args:
        window, backend: of the decoding; empty: not known.
        seconds: wall time of the decoding; 0: not known.
    """
    normalise = normaliser(language, normalise_as)
    kept: list[tuple[Utterance, str, str]] = []
    rest: list[str] = []
    for one in utterances:
        reference, hypothesis = normalise(one.reference).strip(), normalise(one.hypothesis).strip()
        if reference:
            kept.append((one, reference, hypothesis))
        else:
            rest.append(hypothesis)
    if not kept:
        raise DataError("every reference normalises to nothing")
    references, hypotheses = [row[1] for row in kept], [row[2] for row in kept]
    words = word_errors(references, hypotheses)
    plain = [_row(*row, errors=words, index=index) for index, row in enumerate(kept)]
    grouping = grouped(plain, cluster)
    rows = grouping.rows
    system = System(
        name=name,
        scale=scale,
        wer=words.rate,
        ci95=wer_interval(words.total, words.words, [row.cluster for row in rows]),
        cer=character_errors(references, hypotheses).rate,
        raw_wer=word_errors([row.reference for row in rows], [row.hypothesis for row in rows]).rate,
        substitutions=int(words.substitutions.sum()),
        deletions=int(words.deletions.sum()),
        insertions=int(words.insertions.sum()),
        words=int(words.words.sum()),
        utterances=len(rows),
        over_100=int((words.total > words.words).sum()),
        window=window,
        backend=backend,
        seconds=seconds,
        hypotheses_file=hypotheses_file,
        words_on_silence=sum(len(text.split()) for text in rest) if rest else None,
        **checks(references, rows, normalise),
    )
    return Evaluation(system, rows, len(rest), grouping.kind, grouping.note)


def _row(one: Utterance, reference: str, hypothesis: str, *, errors: Errors, index: int) -> Hypothesis:
    return Hypothesis(
        id=one.id,
        domain=one.domain,
        speaker=one.speaker,
        cluster="",
        prompt=one.prompt,
        audio=one.audio,
        duration_s=one.duration_s,
        reference=one.reference,
        hypothesis=one.hypothesis,
        reference_normalised=reference,
        hypothesis_normalised=hypothesis,
        substitutions=int(errors.substitutions[index]),
        deletions=int(errors.deletions[index]),
        insertions=int(errors.insertions[index]),
        words=int(errors.words[index]),
        one_pass=one.one_pass,
        silent=one.silent,
        traits=dict(one.traits),
        entities=list(one.entities),
    )


def checks(references: list[str], rows: Sequence[Hypothesis], normalise: Normaliser) -> dict[str, Any]:
    """How many utterances looped or were silent, and the WER of what the first pass wrote; empty where none did.

    Args:
        references: normalised, of the same utterances.
    """
    if all(row.one_pass is None and not row.silent for row in rows):
        return {}
    written = [row.hypothesis if row.one_pass is None else row.one_pass for row in rows]
    normalised = [normalise(text).strip() for text in written]
    return {
        "fell_back": sum(row.one_pass is not None and not row.silent for row in rows),
        "silent": sum(row.silent for row in rows),
        "silent_words": sum(len(text.split()) for row, text in zip(rows, normalised, strict=True) if row.silent),
        "one_pass_wer": word_errors(references, normalised).rate,
    }


def pooled(systems: Sequence[System], hypotheses: Sequence[Sequence[Hypothesis]]) -> System:
    """One row of several runs of a system that differ in a seed alone, on the same recordings.

    Errors and words are added up, so every rate is the mean of the runs'; the interval is taken over the same
    clusters, each with all of its runs.

    Raises:
        DataError: the runs are not on the same recordings.
    """
    ids = [[row.id for row in rows] for rows in hypotheses]
    if any(own != ids[0] for own in ids):
        raise DataError("runs can only be pooled on the same utterances", field=systems[0].name)
    rows = [row for own in hypotheses for row in own]
    words = np.array([row.words for row in rows], dtype=np.int64)
    sums = ("substitutions", "deletions", "insertions", "words", "utterances", "over_100", "seconds", *CHECKED)
    changed = {name: sum(getattr(system, name) for system in systems) for name in sums}
    means = {name: sum(getattr(s, name) for s in systems) / len(systems) for name in ("wer", "cer", "raw_wer")}
    if any(system.one_pass_wer is not None for system in systems):
        one_pass = [system.wer if system.one_pass_wer is None else system.one_pass_wer for system in systems]
        means["one_pass_wer"] = sum(one_pass) / len(one_pass)
    silences = [system.words_on_silence for system in systems if system.words_on_silence is not None]
    if silences:
        changed["words_on_silence"] = sum(silences)
    interval = wer_interval(_errors(rows), words, [row.cluster for row in rows])
    each = [system.wer for system in systems] if len(systems) > 1 else []
    return systems[0].model_copy(update={**changed, **means, "ci95": interval, "wer_of_seeds": each})


def compare_hypotheses(
    system: list[Hypothesis], against: list[Hypothesis], names: tuple[str, str], scale: float | None = None
) -> Comparison:
    """Paired, clustered comparison of two systems' transcripts of the same recordings.

    Raises:
        DataError: they are not on the same recordings.
    """
    ids, others = [row.id for row in system], [row.id for row in against]
    if ids != others:
        raise DataError(
            "two systems can only be compared on the same utterances",
            field=names[0],
            value=f"{len(ids)} and {len(others)}",
        )
    found = compare(
        _errors(system),
        _errors(against),
        np.array([row.words for row in system], dtype=np.int64),
        [row.cluster for row in system],
    )
    return Comparison(
        system=names[0],
        against=names[1],
        scale=scale,
        difference=found.points,
        relative=found.relative,
        ci95=found.ci95,
        p_value=found.p_value,
        detectable=found.detectable,
    )


def _errors(rows: list[Hypothesis]) -> np.ndarray:
    return np.array([row.substitutions + row.deletions + row.insertions for row in rows], dtype=np.int64)
