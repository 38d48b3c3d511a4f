"""The loop: texts are cast to voices, spoken, judged and stored; Lhotse cuts and a ledger come out.

A run that was killed goes on where it was when it is started again, and ends with the same files as one that
was not disturbed. What a clip is made from is its key; what has a row in the ledger is not made again.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from tqdm import tqdm

from data_synth.clips import Storage, exists
from data_synth.engines import load_engine
from data_synth.folder import hold_folder
from data_synth.gates import GateOptions, is_speakable
from data_synth.ledger import Ledger, LedgerRow, clip_key
from data_synth.options import Options, Range
from data_synth.pool import PoolOptions, run_jobs
from data_synth.seeds import derive
from data_synth.spoken import Speaking, has_digits, spoken_form
from data_synth.texts import Text
from data_synth.voices import Voice, cast, check_ranges, clip_seed, find_voices, voice_ranges
from data_synth.worker import ClipPlan, ClipSettings, Job
from speech_analogy.errors import DataError, SynthesisError

if TYPE_CHECKING:
    from lhotse import MonoCut

CUT_KEY_DIGITS = 10  # of the clip's key in a cut's id
PROGRESS_S, QUIET_PROGRESS_S = 0.5, 30.0  # between lines, on a terminal and elsewhere
UNSPEAKABLE = "unspeakable: the text has no letter and no digit"


class SynthesisOptions(Options):
    """How texts are to be spoken. `workers`, `isolated` and `timeout_s` change nothing about a clip that is made."""

    later: ClassVar = ("voices",)

    engines: tuple[str, ...] = Field(default=("hibari",), description="voices, e.g. hibari, piper:joe, flite:slt+rms")
    voices_per_text: int = Field(default=1, ge=1, description="clips of every text")
    seed: int = Field(default=0, ge=0)
    speed: tuple[float, float] = Field(default=(1.0, 1.0), description="range; 1.0 is the voice's own pace")
    parameters: dict[str, dict[str, int | float | str]] = Field(
        default_factory=dict, description="engine -> its own parameters, e.g. {'espeak-ng': {'pitch': 60}}"
    )
    voices: dict[str, dict[str, Range]] = Field(
        default_factory=dict,
        description="voice or engine -> its own speed, pitch (espeak-ng) or other number, or the range it is drawn "
        "from, e.g. {'espeak-ng:en-us': {'speed': [0.9, 1.2], 'pitch': [40, 70]}}",
    )
    gates: GateOptions | None = Field(default_factory=GateOptions, description="None switches them off")
    keep_rejected: bool = Field(default=False, description="store rejected clips too, to be listened to")
    attempts: int = Field(default=3, ge=1, le=100, description="at a clip, each with a new seed")
    workers: int = Field(default=1, ge=1, description="processes that engines run in")
    isolated: bool = Field(
        default=True, description="false: a single worker is this process, which an engine that crashes takes along"
    )
    timeout_s: float | None = Field(
        default=None, gt=0.0, description="for one clip, loading included; None: 120, or what the engine asks for"
    )
    storage: Storage = "flac"
    sampling_rate: int = Field(default=16_000, ge=8_000, le=48_000, description="Hz")
    language: str = "en"
    spoken: Speaking = Field(
        default="auto", description="numbers and the like in words for the engine; none: as the text is written"
    )

    @field_validator("engines", mode="before")
    @classmethod
    def _split(cls, engines: object) -> object:
        return tuple(engines.split(",")) if isinstance(engines, str) else engines

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.speed
        if not 0 < low <= high:
            raise ValueError(f"speed must be 0 < low <= high, not {low:g} and {high:g}")
        if self.storage == "opus" and self.sampling_rate not in (8_000, 12_000, 16_000, 24_000, 48_000):
            raise ValueError("opus takes a sampling_rate of 8000, 12000, 16000, 24000 or 48000 Hz")
        return self


@dataclass(frozen=True)
class SynthesisReport:
    """What a run came to.

    Attributes:
        cuts, ledger: the files.
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


def synthesize(
    texts: Sequence[Text],
    out: Path,
    options: SynthesisOptions,
    *,
    progress: bool = True,
    clips_root: Path | None = None,
) -> SynthesisReport:
    """Speak `texts` into the folder `out`: clips/, ledger.jsonl and cuts.jsonl.gz.

    Cuts are in the order of texts, then of clips. Each has one supervision (text, speaker `engine:voice`) and
    custom `domain`, `kind` ("synthetic"), `engine`, `voice`, `text_id`, `prompt` (the text's id) and `spoken`
    (what the engine was given; the supervision's text is the label, as the user wrote it).

    Args:
        texts: with distinct ids.
        out: a new folder, or one begun with the same gates, storage and sampling rate.
        options: see `SynthesisOptions`.
        progress: show a bar with the time left.
        clips_root: the name `out` will have when it is used, if it is to be renamed; cuts name their clips
            by absolute paths.

    Raises:
        SynthesisError: an engine or voice is missing or takes no such parameter, a worker died, or a clip
            cannot be written.
        DataError: no text, ids that are not distinct, a folder that is another's, or no clip was kept.
        ConfigError: the folder was begun with other settings.
    """
    _check_texts(texts)
    voices = find_voices(options.engines)
    _check_parameters(voices, options)
    gates = options.gates and options.gates.for_language(options.language)
    if gates is not None:
        gates.load()  # mistakes in them, and the recogniser that is trained, are told before a clip is made
    settings: dict[str, Any] = {
        "gates": gates and gates.model_dump(mode="json"),
        "storage": options.storage,
        "sampling_rate": options.sampling_rate,
    }
    plans = make_plans(texts, voices, options)
    out = out.resolve()
    with hold_folder(out, settings):
        ledger = Ledger(out)
        _reject_unspeakable(texts, options, ledger)
        made = _make_clips(plans, ledger, out, options, gates, progress)
        ledger.rewrite([plan.key(attempt) for plan in plans for attempt in range(options.attempts)])
        rows = [(plan, _kept_row(plan, ledger)) for plan in plans]
        if not any(row for _, row in rows):
            raise DataError("no clip was kept", file=ledger.path, do=_most_common_reason(ledger))
        cuts = _write_manifest(out, (clips_root or out).absolute(), rows, options)
    return _report(texts, rows, ledger, cuts, made)


def make_plans(texts: Sequence[Text], voices: Sequence[Voice], options: SynthesisOptions) -> list[ClipPlan]:
    """The clips to be made, in the order of the cuts. Texts with nothing to be said have none."""
    speakable = [text for text in texts if _is_speakable(text, options)]
    engines = {voice: load_engine(voice.engine) for voice in voices}
    revisions = {voice: engines[voice].voice_revision(voice.name) for voice in voices}
    parts = cast(
        [text.id for text in speakable],
        voices,
        options.voices_per_text,
        options.seed,
        options.speed,
        voice_ranges(options.voices, voices),
    )
    return [
        ClipPlan(
            text_id=text.id,
            text=text.text,
            spoken=spoken,
            domain=text.domain,
            engine=part.voice.engine,
            voice=part.voice.name,
            revision=revisions[part.voice],
            parameters={**options.parameters.get(part.voice.engine, {}), **part.parameters},
            seeds=tuple(clip_seed(options.seed, text.id, part, n) for n in range(options.attempts)),
            seeded=engines[part.voice].seeded,
        )
        for text, its_parts in zip(speakable, parts, strict=True)
        for spoken in (_spoken(text, options),)
        for part in its_parts
    ]


def _spoken(text: Text, options: SynthesisOptions) -> str:
    return spoken_form(text.text, options.language, options.spoken)


def _is_speakable(text: Text, options: SynthesisOptions) -> bool:
    return is_speakable(text.text) or is_speakable(_spoken(text, options))  # "%" is spoken "percent"


def _check_texts(texts: Sequence[Text]) -> None:
    if not texts:
        raise DataError("there is no text to speak", field="texts")
    [(common, count)] = Counter(text.id for text in texts).most_common(1)
    if count > 1:
        raise DataError("ids of texts must be distinct", field="id", value=common)


def _check_parameters(voices: Sequence[Voice], options: SynthesisOptions) -> None:
    used = {voice.engine for voice in voices}
    for engine in options.parameters:
        if engine not in used:
            raise SynthesisError("no voice of this engine is asked for", field=f"parameters.{engine}")
    for engine in sorted(used):
        for speed in options.speed:
            load_engine(engine).check({**options.parameters.get(engine, {}), "speed": speed})
    check_ranges(voice_ranges(options.voices, voices), options.parameters)


def _reject_unspeakable(texts: Sequence[Text], options: SynthesisOptions, ledger: Ledger) -> None:
    rows = []
    for text in texts:
        if not _is_speakable(text, options):
            seed = derive(text.id)
            key = clip_key(text.text, "", "", "", {}, seed)
            if key not in ledger.rows:
                rows.append(_unspeakable_row(text, key, seed))
    if rows:
        ledger.append(rows)


def _unspeakable_row(text: Text, key: str, seed: int) -> LedgerRow:
    return LedgerRow(
        key=key,
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


def _make_clips(
    plans: Sequence[ClipPlan],
    ledger: Ledger,
    out: Path,
    options: SynthesisOptions,
    gates: GateOptions | None,
    progress: bool,
) -> int:
    """Make what the ledger lacks; returns the number of attempts made."""
    pending = [(plan, attempt) for plan in plans if (attempt := _next_attempt(plan, ledger, out)) is not None]
    jobs = list(_jobs(pending, ClipSettings(out, gates, options.storage, options.sampling_rate, options.keep_rejected)))
    made = 0
    bar = tqdm(
        total=len(plans),
        initial=len(plans) - len(pending),
        desc="speaking",
        unit="clip",
        disable=not progress,
        mininterval=PROGRESS_S if sys.stderr.isatty() else QUIET_PROGRESS_S,
    )
    with bar:
        try:
            for job, rows in run_jobs(jobs, PoolOptions(options.workers, options.isolated, options.timeout_s)):
                ledger.append(rows)
                made += len(rows)
                bar.update(len(job.work))
        except OSError as error:
            raise SynthesisError(f"a clip cannot be written: {error}", file=out, do="start again") from None
    return made


def _next_attempt(plan: ClipPlan, ledger: Ledger, out: Path) -> int | None:
    """The attempt to begin a clip at; None where it is finished. A kept clip that is gone is made again."""
    attempt: int | None = 0
    while attempt is not None:
        row = ledger.rows.get(plan.key(attempt))
        if row is None or (row.path is not None and not exists(out / row.path)):
            return attempt
        attempt = plan.after(row)
    return None


def _jobs(pending: Iterable[tuple[ClipPlan, int]], settings: ClipSettings) -> Iterator[Job]:
    """Batches of one engine each, about in the order of the plan."""
    open_batches: dict[str, list[tuple[ClipPlan, int]]] = {}
    for item in pending:
        batch = open_batches.setdefault(item[0].engine, [])
        batch.append(item)
        if len(batch) >= load_engine(item[0].engine).batch_size:
            yield Job(item[0].engine, tuple(batch), settings)
            batch.clear()
    for engine, batch in open_batches.items():
        if batch:
            yield Job(engine, tuple(batch), settings)


def _kept_row(plan: ClipPlan, ledger: Ledger) -> LedgerRow | None:
    rows = (ledger.rows.get(plan.key(attempt)) for attempt in range(len(plan.seeds)))
    return next((row for row in rows if row is not None and row.kept), None)


def _write_manifest(
    out: Path, root: Path, rows: Sequence[tuple[ClipPlan, LedgerRow | None]], options: SynthesisOptions
) -> Path:
    """Write the cuts of the kept clips. Lhotse brings torch along, so it is imported when clips are there."""
    from data_synth.manifest import CUTS_NAME, make_cut, write_cuts

    def cuts() -> Iterator[MonoCut]:
        for plan, row in rows:
            if row is None or row.path is None or row.duration_s is None:
                continue
            yield make_cut(
                f"{plan.text_id}-{row.key[:CUT_KEY_DIGITS]}",
                root / row.path,
                round(row.duration_s * options.sampling_rate),
                options.sampling_rate,
                text=plan.text,
                speaker=f"{plan.engine}:{plan.voice}",
                language=options.language,
                custom=_custom(plan),
            )

    write_cuts(cuts(), out / CUTS_NAME)
    return out / CUTS_NAME


def _custom(plan: ClipPlan) -> dict[str, Any]:
    return {
        "domain": plan.domain,
        "kind": "synthetic",
        "engine": plan.engine,
        "voice": plan.voice,
        "text_id": plan.text_id,
        "prompt": plan.text_id,
        "spoken": plan.spoken,
    }


def _most_common_reason(ledger: Ledger) -> str:
    reasons = Counter(row.reason for row in ledger.rows.values() if row.reason)
    [(reason, count)] = reasons.most_common(1)
    return f"the ledger tells why; most often ({count} of {len(ledger.rows)}): {reason}"


def _report(
    texts: Sequence[Text],
    rows: Sequence[tuple[ClipPlan, LedgerRow | None]],
    ledger: Ledger,
    cuts: Path,
    made: int,
) -> SynthesisReport:
    asked = Counter((plan.domain, f"{plan.engine}:{plan.voice}") for plan, _ in rows)
    kept = Counter((plan.domain, f"{plan.engine}:{plan.voice}") for plan, row in rows if row)
    with_clip = {plan.text_id for plan, row in rows if row}
    wanted = {text.id for text in texts}
    reasons = (row.reason for row in ledger.rows.values() if row.reason and row.text_id in wanted)
    return SynthesisReport(
        cuts=cuts,
        ledger=ledger.path,
        texts=len(texts),
        clips=len(rows),
        kept=sum(kept.values()),
        made=made,
        seconds=sum(row.duration_s or 0.0 for _, row in rows if row),
        rejections=dict(Counter(reason.split()[0].rstrip(":") for reason in reasons).most_common()),
        yields={pair: (count, kept[pair]) for pair, count in sorted(asked.items())},
        texts_without_clip=tuple(text.id for text in texts if text.id not in with_clip),
        respelled=len({plan.text_id for plan, _ in rows if plan.spoken != plan.text}),
        digits_left=len({plan.text_id for plan, _ in rows if has_digits(plan.spoken)}),
    )
