"""The loop: texts are cast to voices, spoken, judged and stored; Lhotse cuts and a ledger come out.

A run that was killed goes on where it was when it is started again, and ends with the same files as one that
was not disturbed. What a clip is made from is its key; what has a row in the ledger is not made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data_synth.engines import load_engine
from data_synth.engines.gpus import gpus_of
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.checks import casting_note, check_speech
from data_synth.plan.clip_plan import ClipPlan
from data_synth.plan.layout import CLIPS_PER_TAR, SHAR_LAYOUTS, clip_format
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import Shard, SynthesisPlan, Texts
from data_synth.run.finish import SynthesisReport, mark_finished, unspeakable_row, write_files
from data_synth.run.pool import PoolOptions, run_jobs
from data_synth.run.worker import ClipJob, ClipSettings
from data_synth.store.clip_store import Placing, Store, next_attempt
from data_synth.store.held_folder import hold_folder
from data_synth.store.ledger import Ledger
from data_synth.store.loose_clips import LooseClips
from data_synth.store.tars import SharClips
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.progress import Bar, bar, say

__all__ = ["Shard", "SynthesisOptions", "SynthesisReport", "synthesize"]

SILENT_ROWS_AT_ONCE = 1000  # of texts with nothing to be said, in one write


def synthesize(
    texts: Texts,
    out: Path,
    options: SynthesisOptions,
    *,
    progress: bool = True,
    clips_root: Path | None = None,
    shard: Shard | None = None,
    clips_per_tar: int = CLIPS_PER_TAR,
) -> SynthesisReport:
    """Speak `texts` into the folder `out`: clips/, ledger.jsonl and cuts.jsonl.gz, or shar/ in their place.

    Cuts are in the order of texts, then of clips. Each has one supervision (text, speaker `engine:voice`) and
    custom `domain`, `kind` ("synthetic"), `engine`, `voice`, `text_id`, `prompt` (the text's id) and `spoken`
    (what the engine was given; the supervision's text is the label, as the user wrote it), and `channel` where the
    options have one (in words; what was drawn for a clip is in the ledger). With storage `shar`
    read them by `CutSet.from_shar(in_dir=out / "shar")`.

    Texts are gone through several times, and what is held of one grows with neither its clips nor its words: 16
    bytes of its id, 16 of each attempt at a clip.

    Args:
        texts: with distinct ids.
        out: a new folder, or one begun with the same gates, storage and sampling rate.
        options: see `SynthesisOptions`.
        progress: show a bar with the time left.
        clips_root: the name `out` will have when it is used, if it is to be renamed; cuts name their clips
            by absolute paths.
        shard: make this part alone of what these texts and options ask for; `join_shards` joins the folders.
        clips_per_tar: clips asked for in a tar (`shar`).

    Raises:
        SynthesisError: an engine or voice is missing or takes no such parameter, a worker died, or a clip
            cannot be written.
        DataError: no text, ids that are not distinct, a folder that holds something else, or no clip was kept.
        ConfigError: the folder was begun with other settings.
    """
    tiers = check_speech(options)
    if progress and (note := casting_note(options, tiers)):
        say(note)
    voices, *further = tiers
    gates = options.gates and options.gates.for_language(options.language)
    if gates is not None:
        gates.load()  # mistakes in them, and a recogniser that is being trained, are reported before a clip is made
    packed = options.storage in SHAR_LAYOUTS
    texts_per_block = max(1, clips_per_tar // options.voices_per_text) if packed else 1
    plan = SynthesisPlan(texts, voices, options, shard, texts_per_block, further)
    out = out.resolve()
    placing = Placing(
        out, (clips_root or out).absolute(), clip_format(options.storage), options.sampling_rate, options.language
    )
    settings: dict[str, Any] = {
        "gates": gates and gates.model_dump(mode="json"),
        "storage": options.storage,
        "sampling_rate": options.sampling_rate,
    }
    with hold_folder(out, settings | _shard_settings(plan, options.language)):
        ledger = Ledger(out)
        store = SharClips(placing, ledger, texts_per_block) if packed else LooseClips(placing)
        clips = ClipSettings(out, gates, placing.format, options.sampling_rate, options.keep_rejected)
        try:
            made = _make_clips(plan, ledger, store, options, clips, progress)
            report = write_files(plan, ledger, store, made)
            if plan.shard.of > 1:
                mark_finished(ledger.path)
        except OSError as error:
            raise SynthesisError(f"cannot be written: {error}", file=out, do="start again; it goes on here") from None
    return report


def _shard_settings(plan: SynthesisPlan, language: str) -> dict[str, Any]:
    """What a shard's folder is held to, beyond what every folder is: it is part of one plan, and of no other."""
    if plan.shard.of == 1:
        return {}
    return {
        "shard": plan.shard.number,
        "of_shards": plan.shard.of,
        "plan": plan.digest(),
        "texts_per_block": plan.texts_per_block,
        "language": language,
    }


def _make_clips(
    plan: SynthesisPlan, ledger: Ledger, store: Store, options: SynthesisOptions, settings: ClipSettings, progress: bool
) -> int:
    """Make what the ledger lacks; returns the number of attempts made."""
    made = 0
    with bar(plan.clips, "speak", "clips", show=progress) as shown:
        store.prepare(plan, ledger)
        jobs = _jobs(_pending(plan, ledger, store, shown), settings)
        pool = PoolOptions(options.workers, options.isolated, options.timeout_s, gpus_of(options.engines))
        for job, rows in run_jobs(jobs, pool):
            ledger.append(rows)
            made += len(rows)
            shown.update(len(job.work))
            store.done(clip for clip, _ in job.work)
    return made


def _pending(plan: SynthesisPlan, ledger: Ledger, store: Store, shown: Bar) -> Iterator[tuple[int, ClipPlan, int]]:
    """The clips that are not finished, each with its stretch of the plan and the attempt to go on with.

    Texts with nothing to be said are noted on the way, and finished clips, which the time left is not judged by.
    """
    silent: list[LedgerRow] = []
    for text in plan:
        waiting: list[tuple[ClipPlan, int]] = []
        if text.parts and not store.is_whole(text):
            starts = ((clip, next_attempt(clip, ledger, store)) for clip in text.clips)
            waiting = [(clip, attempt) for clip, attempt in starts if attempt is not None]
            stretch = store.begin(text, len(waiting))
            yield from ((stretch, clip, attempt) for clip, attempt in waiting)
        elif not text.parts and ledger.find((row := unspeakable_row(text.text)).key) is None:
            silent.append(row)
            if len(silent) == SILENT_ROWS_AT_ONCE:
                ledger.append(silent)
                silent.clear()
        shown.skip(len(text.parts) - len(waiting))
    store.close()
    if silent:
        ledger.append(silent)


def _jobs(pending: Iterable[tuple[int, ClipPlan, int]], settings: ClipSettings) -> Iterator[ClipJob]:
    """Batches of one engine and one stretch of the plan each, about in the order of the plan."""
    open_batches: dict[str, list[tuple[ClipPlan, int]]] = {}
    latest = None
    for stretch, clip, attempt in pending:
        if stretch != latest:
            yield from _flushed(open_batches, settings)
            latest = stretch
        batch = open_batches.setdefault(clip.engine, [])
        batch.append((clip, attempt))
        if len(batch) >= load_engine(clip.engine).batch_size:
            yield ClipJob(clip.engine, tuple(batch), settings)
            batch.clear()
    yield from _flushed(open_batches, settings)


def _flushed(open_batches: dict[str, list[tuple[ClipPlan, int]]], settings: ClipSettings) -> Iterator[ClipJob]:
    for engine, batch in open_batches.items():
        if batch:
            yield ClipJob(engine, tuple(batch), settings)
            batch.clear()
