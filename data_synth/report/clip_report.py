"""`report.html` of a folder of clips: what its ledger records, laid out for the template, which only prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from data_synth.audio.data_uri import AUDIO_BYTES, EMBEDDED_S, Embedder
from data_synth.plan.attempt import LedgerRow
from data_synth.report import histograms, yield_tables
from data_synth.report.gather import KEPT, REJECTED, Gathering, gather
from data_synth.report.yields import GateYield, Yield, Yields, measure
from data_synth.store.held_folder import SETTINGS_NAME
from data_synth.store.ledger import read_rows, reason_gate
from data_synth.store.rejects import find_rejected
from data_synth.store.tars import open_clip
from speech_analogy.errors import DataError
from speech_analogy.foundation.disk.refusals import os_errors
from speech_analogy.foundation.files import replacing
from speech_analogy.foundation.page.templating import template_environment
from speech_analogy.foundation.page.wording import NBSP, duration
from speech_analogy.foundation.user_files.json_text import read_object

REPORT_NAME = "report.html"
SHOWN_CLIPS = 12  # kept ones, and as many rejected ones
ROWS_SHOWN = 24  # of a yield table; the rest is folded away
SERIES = {KEPT: "kept", REJECTED: "rejected"}  # series of a histogram -> class of the style sheet

# What a gate's name does not say.
GATES = {
    "samples": "there is something at all",
    "not_finite": "samples that are no number",
    "level_db": "level of the trimmed clip, dBFS",
    "leading_silence_s": "silence before the first sound, s",
    "trailing_silence_s": "silence after the last sound, s",
    "inner_silence_s": "longest pause, s",
    "clipped_share": "share of samples at full scale",
    "seconds_per_character": "pace: s a letter of English",
    "quality": "learned quality score",
    "character_error_rate": "round trip: characters a recogniser got wrong",
    "engine": "the engine failed",
    "unspeakable": "the text has no letter and no digit",
}


@dataclass(frozen=True)
class ShownClip:
    """One clip to listen to. `audio` is a data: URI, or None; `readings` are (gate, number, thresholds, passed)."""

    text: str
    about: str
    reason: str | None
    audio: str | None
    readings: Sequence[tuple[str, str, str, bool]]


def write_report(
    folder: Path, out: Path | None = None, *, clips: int = SHOWN_CLIPS, seed: int = 0, audio_bytes: int = AUDIO_BYTES
) -> Path:
    """Write the page and return its path. The same folder, count and seed give the same bytes.

    Args:
        folder: one that `synthesize` made, finished or not; it is only read.
        out: the page; by default `report.html` in the folder. A page that is there is replaced.
        clips: how many kept clips to embed, and how many rejected ones to show.
        seed: of their choice.
        audio_bytes: of all embedded clips together.

    Raises:
        DataError: there is no ledger or no row in it, it is broken, or the page cannot be written.
    """
    path = folder / REPORT_NAME if out is None else out
    return write_file(path, render(folder, clips=clips, seed=seed, audio_bytes=audio_bytes))


def write_file(path: Path, content: str) -> Path:
    """Write a report whole and return its path; a file that is there is replaced.

    Raises:
        DataError: it is a folder, or cannot be written.
    """
    if path.exists() and not path.is_file():
        raise DataError("is not a file", file=path, do="name a file for the report")
    with os_errors(path), replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
    return path


def render(folder: Path, *, clips: int = SHOWN_CLIPS, seed: int = 0, audio_bytes: int = AUDIO_BYTES) -> str:
    """The whole page as one string; see `write_report`."""
    yields = measure(folder)
    if not yields.rows:
        raise DataError("the ledger has no row", file=folder, do="run synthesize first")
    found = gather(read_rows(folder), clips, seed)
    embedder = Embedder(audio_bytes)
    kept = [_clip(row, folder, embedder) for row in found.kept.rows()]
    rejected = [_clip(row, folder, embedder) for row in found.rejected.rows()]
    return _environment().get_template("report.html.jinja").render(
        title=folder.resolve().name,
        headline=f"{_percent(yields.kept, yields.asked)} of the clips asked for were kept: {_duration(yields.seconds)}",
        yields=yields,
        tables=[("Domain", yields.by_domain), ("Engine", yields.by_engine), ("Voice", yields.by_voice)],
        found=found,
        durations=_durations(found),
        rates=_rates(found),
        settings=_settings(folder),
        kept=kept,
        rejected=rejected,
        rejected_audible=any(clip.audio for clip in rejected),
        remarks=_remarks(yields, kept, embedder),
        longest_s=EMBEDDED_S,
        rows_shown=ROWS_SHOWN,
    )  # fmt: skip


def _durations(found: Gathering) -> str:
    return histograms.histogram(found.duration, "Duration of kept clips", "s", SERIES)


def _rates(found: Gathering) -> str:
    return histograms.histogram(found.rate, "Seconds a letter of English", "s a letter", SERIES)


def _remarks(yields: Yields, kept: Sequence[ShownClip], embedder: Embedder) -> list[str]:
    """What is missing, for the reader."""
    remarks = []
    if yields.torn:
        remarks.append("The ledger's last line is torn: the run was killed. Start it again, and it goes on.")
    if yields.asked and not yields.kept:
        remarks.append("No clip was kept.")
    missing = sum(clip.audio is None for clip in kept) - embedder.refused
    if missing > 0:
        remarks.append(f"{missing} of the {len(kept)} kept clips chosen below cannot be read from the folder.")
    if embedder.refused:
        remarks.append(f"{embedder.refused} clips are not embedded: the page holds {AUDIO_BYTES / 1e6:g} MB of them.")
    return remarks


def _clip(row: LedgerRow, folder: Path, embedder: Embedder) -> ShownClip:
    file = find_rejected(folder, row.key) if row.path is None else open_clip(folder, row)
    cut = f", the first {EMBEDDED_S:g} s" if (row.duration_s or 0.0) > EMBEDDED_S else ""
    length = "" if row.duration_s is None else f", {row.duration_s:.1f} s{cut}"
    pace = row.parameters.get("speed", 1.0)
    speed = "" if pace == 1.0 else f", speed {pace:g}" if isinstance(pace, int | float) else ""
    attempt = "" if row.attempt == 0 else f", attempt {row.attempt + 1}"
    readings = [
        (name, "not measured" if gate.value is None else f"{gate.value:.3g}", bounds(gate), _passed(gate))
        for name, gate in row.gates.items()
    ]
    return ShownClip(
        text=row.text,
        about=f"{row.domain}, {row.engine}:{row.voice}{length}{speed}{attempt}",
        reason=row.reason,
        audio=None if file is None else embedder.embed(file),
        readings=readings,
    )


def bounds(gate: Any) -> str:
    """A gate's thresholds: `0.02 to 0.25`, `at least −50`, `at most 1`; nothing where it has none."""
    low, high = gate.minimum, gate.maximum
    if low is not None and high is not None:
        return f"{low:g} to {high:g}".replace("-", "−")
    if low is None and high is None:
        return ""
    return (f"at most {high:g}" if low is None else f"at least {low:g}").replace("-", "−")


def _passed(gate: Any) -> bool:
    return gate.value is not None and (
        (gate.minimum is None or gate.value >= gate.minimum) and (gate.maximum is None or gate.value <= gate.maximum)
    )


def _settings(folder: Path) -> dict[str, Any]:
    """The folder's settings; empty where they cannot be read."""
    try:
        return read_object(folder / SETTINGS_NAME)
    except DataError:
        return {}


def _percent(part: float, whole: float) -> str:
    """`98.5 %`; nothing of nothing. What is not all of it is never rounded up to 100."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if part < whole and share > 99.9:
        share = 99.9
    return f"{share:.1f}{NBSP}%" if part < whole else f"100{NBSP}%"


def _duration(seconds: float) -> str:
    return duration(seconds).replace(" ", NBSP)


def _worst_first(rows: Sequence[Yield]) -> list[Yield]:
    return sorted(rows, key=lambda row: (row.share, row.name))


def _explained(gate: GateYield) -> str:
    return GATES.get(gate.name, "")


def _chance(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _environment() -> jinja2.Environment:
    environment = template_environment("data_synth.report")
    environment.filters.update(
        duration=_duration, worst_first=_worst_first, explained=_explained, chance=_chance, bounds=bounds,
        band=yield_tables.band_name, gate_of=reason_gate, count=lambda value: f"{value:,}",
    )  # fmt: skip
    environment.globals.update(percent=_percent)
    return environment
