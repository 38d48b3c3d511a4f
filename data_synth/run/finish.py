"""The end of a run: ledger and cuts are written in the order of the plan, and counted on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_synth.plan.attempt import LedgerRow, clip_key
from data_synth.plan.plan import SynthesisPlan, TextPlan
from data_synth.store.clip_files import CLIPS_FOLDER
from data_synth.store.clip_store import Store, attempts_at
from data_synth.store.ledger import Ledger, reason_gate
from data_synth.text.spoken import has_digits
from data_synth.text.texts import Text
from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.disk.syncing import sync_folders
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.user_files.json_text import read_object

UNSPEAKABLE = "unspeakable: the text has no letter and no digit"
FINISHED_NAME = "finished.json"  # in the folder of a shard
SECONDS_PER_MINUTE = 60
REASONS_COUNTED = 10_000  # different ones, where every clip was rejected


@dataclass(frozen=True)
class SynthesisReport:
    """What a run came to.

    Attributes:
        cuts, ledger: the files; `cuts` is a folder of Lhotse Shar where clips are packed into shards.
        texts: texts asked for.
        clips: clips asked for (texts that can be spoken × voices_per_text).
        kept: clips kept, i.e. cuts.
        made: attempts made by this run; 0 where an earlier one had done everything.
        seconds: duration of the kept clips.
        rejections: first word of the reason (a gate's name, `engine:`) -> rejected attempts.
        yields: (domain, voice) -> (clips asked for, clips kept).
        texts_without_clip: ids.
        respelled: texts whose spoken form is not the label.
        digits_left: texts that engines were given with digits in them.
        others: kept clips of earlier runs in this folder that were not asked for now: they are in no cut.
    """

    cuts: Path
    ledger: Path
    texts: int
    clips: int
    kept: int
    made: int
    seconds: float
    rejections: dict[str, int]
    yields: dict[tuple[str, str], tuple[int, int]]
    texts_without_clip: tuple[str, ...]
    respelled: int = 0
    digits_left: int = 0
    others: int = 0

    def summary(self) -> str:
        """A few lines: what was kept, what was rejected and why, the yield by domain and by voice."""
        lines = [
            f"{self.kept} of {self.clips} clips kept ({self.seconds / SECONDS_PER_MINUTE:.1f} min) "
            f"of {self.texts} texts; {self.made} made now"
        ]
        if self.rejections:
            lines.append("rejected: " + ", ".join(f"{name} {count}" for name, count in self.rejections.items()))
        if self.texts_without_clip:
            lines.append(f"texts without a clip: {len(self.texts_without_clip)}")
        if self.respelled:
            lines.append(f"texts spoken differently from how they are written: {self.respelled}")
        if self.digits_left:
            lines.append(f"texts whose digits were left to the engine: {self.digits_left}")
        if self.others:
            lines.append(
                f"clips of earlier runs that were not asked for now: {self.others}; they stay in the folder, "
                "and the cuts are without them"
            )
        for index, what in enumerate(("domain", "voice")):
            asked: Counter[str] = Counter()
            kept: Counter[str] = Counter()
            for pair, (pair_asked, pair_kept) in self.yields.items():
                asked[pair[index]] += pair_asked
                kept[pair[index]] += pair_kept
            lines.append(f"by {what}: " + ", ".join(f"{name} {kept[name]}/{asked[name]}" for name in asked))
        return "\n".join([*lines, f"cuts: {self.cuts}", f"ledger: {self.ledger}"])


@dataclass
class ReportCounts:
    """The counts of a report; what is held grows with voices, domains, reasons and texts without a clip."""

    texts: int = 0
    kept: int = 0
    seconds: float = 0.0
    asked_of: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept_of: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    without_clip: list[str] = field(default_factory=list)
    respelled: int = 0
    digits_left: int = 0
    others: int = 0

    def other(self, row: LedgerRow) -> None:
        """Count a row that is not of the plan."""
        self.others += row.kept

    def clip(self, rows: list[LedgerRow], place: tuple[str, str]) -> LedgerRow | None:
        """Count one clip by its attempts and its (domain, voice); returns the row that was kept, if one was."""
        self.asked_of[place] += 1
        for row in rows:
            self.reject(row)
        if not rows or not rows[-1].kept:
            return None
        self.kept += 1
        self.kept_of[place] += 1
        self.seconds += rows[-1].duration_s or 0.0
        return rows[-1]

    def reject(self, row: LedgerRow) -> None:
        """Count one attempt's reason, if it was rejected."""
        if row.reason:
            self.rejections[reason_gate(row)] += 1

    def text(self, text_id: str, any_kept: bool, spoken: str, label: str, clips: bool) -> None:
        """Count one text."""
        self.texts += 1
        if not any_kept:
            self.without_clip.append(text_id)
        if clips:
            self.respelled += spoken != label
            self.digits_left += has_digits(spoken)

    def report(self, cuts: Path, ledger: Path, made: int) -> SynthesisReport:
        """The report."""
        return SynthesisReport(
            cuts=cuts,
            ledger=ledger,
            texts=self.texts,
            clips=self.asked_of.total(),
            kept=self.kept,
            made=made,
            seconds=self.seconds,
            rejections=dict(self.rejections.most_common()),
            yields={place: (count, self.kept_of[place]) for place, count in sorted(self.asked_of.items())},
            texts_without_clip=tuple(self.without_clip),
            respelled=self.respelled,
            digits_left=self.digits_left,
            others=self.others,
        )


def unspeakable_row(text: Text) -> LedgerRow:
    """The row of a text with nothing to be said."""
    seed = derive(text.id)
    return LedgerRow(
        key=clip_key(text.text, "", "", "", {}, seed),
        text_id=text.id,
        text=text.text,
        domain=text.domain,
        engine="",
        voice="",
        revision="",
        parameters={},
        seed=seed,
        attempt=0,
        status="rejected",
        reason=UNSPEAKABLE,
    )


def write_files(plan: SynthesisPlan, ledger: Ledger, store: Store, made: int) -> SynthesisReport:
    """Write the ledger and the cuts of a run whose clips are made, in the order of the plan.

    Raises:
        DataError: no clip was kept, in a run that is not a shard; the ledger is written all the same.
    """
    tally = ReportCounts()
    if made:
        sync_folders(ledger.path.with_name(CLIPS_FOLDER))  # the clips' names, before cuts say that they are there

    def left(row: LedgerRow) -> LedgerRow:
        tally.other(row)
        return store.placed(row, None)

    with store.writing() as write_cut:
        with ledger.rewriting(left) as place:
            for text in plan:
                for row in _placed(text, ledger, store, tally):
                    place(row)
                    if row.kept:
                        write_cut(row)
        if not tally.kept and plan.shard.of == 1:
            raise DataError("no clip was kept", file=ledger.path, do=_most_common_reason(ledger))
    return tally.report(store.manifest, ledger.path, made)


def mark_finished(ledger: Path) -> None:
    """Write down that a shard is finished, and the size of its ledger: one that has grown since is not finished."""
    content = json.dumps({"ledger_bytes": ledger.stat().st_size}) + "\n"
    write_whole(ledger.with_name(FINISHED_NAME), content.encode("utf-8"))


def is_finished(ledger: Path) -> bool:
    """Whether a shard was marked as finished, and is as it was then."""
    try:
        found = read_object(ledger.with_name(FINISHED_NAME))
        return bool(found == {"ledger_bytes": ledger.stat().st_size})
    except (OSError, DataError):
        return False


def _placed(text: TextPlan, ledger: Ledger, store: Store, tally: ReportCounts) -> Iterator[LedgerRow]:
    """The rows of a text, in order, as they are to stand in the ledger; a text without clips is no part of that."""
    any_kept = False
    for clip in text.clips:
        rows = [store.placed(row, text) for row in attempts_at(clip, ledger)]
        kept = tally.clip(rows, (clip.domain, f"{clip.engine}:{clip.voice}"))
        any_kept = any_kept or kept is not None
        yield from rows
    if not text.parts:
        tally.reject(unspeakable_row(text.text))
    tally.text(text.text.id, any_kept, text.spoken, text.text.text, bool(text.parts))


def _most_common_reason(ledger: Ledger) -> str:
    reasons: Counter[str] = Counter()
    for row in ledger.rows.values():
        if row.reason and (row.reason in reasons or len(reasons) < REASONS_COUNTED):
            reasons[row.reason] += 1
    [(reason, count)] = reasons.most_common(1)
    return f"the ledger says why; most often ({count} of {len(ledger.rows)}): {reason}"
