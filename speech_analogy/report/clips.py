"""Clips to listen to: which utterances, where their recordings are, how they fit into one page."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from data_synth.audio.ogg import with_fixed_serial
from data_synth.audio.samples import Samples
from speech_analogy.evaluation.results import Hypothesis
from speech_analogy.report import words

ClipOutcome = Literal["fewer errors", "more errors", "as many errors", "right in both"]

CLIPS_SHOWN = 10
OUTCOME_SHARES: dict[ClipOutcome, int] = {"fewer errors": 4, "more errors": 3, "as many errors": 2, "right in both": 1}
CLIP_LONGEST_S = 20.0  # a longer recording would weigh more than the rest of the page
CLIP_RATE_HZ = 16_000
OPUS_COMPRESSION = 0.93  # libsndfile's 0..1 scale; this is about 22 kbit/s
OPUS_BYTES_A_SECOND, OPUS_HEAD_BYTES = 4_500, 1_000  # of a file that is embedded as it is
SEED = "report"
ENCODED_KEPT = 256
_ENCODED: dict[str, bytes] = {}


@dataclass(frozen=True)
class DrawnClip:
    """One utterance to show, and how the two systems differ on it."""

    outcome: ClipOutcome
    row: Hypothesis


def outcome(before: Hypothesis, after: Hypothesis) -> ClipOutcome:
    """Compare two systems' word errors on one utterance."""
    earlier, later = errors(before), errors(after)
    if later < earlier:
        return "fewer errors"
    if later > earlier:
        return "more errors"
    return "as many errors" if later else "right in both"


def choose(
    before: Sequence[Hypothesis], after: Sequence[Hypothesis], audible: frozenset[str], count: int = CLIPS_SHOWN
) -> list[DrawnClip]:
    """Draw `count` utterances, spread over the outcomes (OUTCOME_SHARES) and over prompts or speakers.

    The draw is by the sha256 of the id: the same test set gives the same clips, and nobody picks them by ear.

    Args:
        before: hypotheses of the system compared with.
        after: hypotheses of the system the report is about.
        audible: ids whose recording was found; they are preferred to the rest.
        count: how many to draw; fewer come back from a smaller test set.
    """
    pools: dict[ClipOutcome, list[Hypothesis]] = {name: [] for name in OUTCOME_SHARES}
    for earlier, later in words.paired(before, after):
        pools[outcome(earlier, later)].append(later)
    playable = {row.id for row in after if row.id in audible and row.duration_s <= CLIP_LONGEST_S}
    chosen: list[DrawnClip] = []
    for wanted in (
        OUTCOME_SHARES,
        dict.fromkeys(OUTCOME_SHARES, count),
    ):  # too few of one outcome leave room for the others
        for name in OUTCOME_SHARES:
            room = min(wanted[name], count - len(chosen))
            seen = {mark for choice in chosen for mark in _marks(choice.row)}
            taken = _take(pools[name], room, playable, seen)
            chosen += [DrawnClip(name, row) for row in taken]
    return sorted(chosen, key=lambda choice: list(OUTCOME_SHARES).index(choice.outcome))


def _take(pool: list[Hypothesis], wanted: int, playable: set[str], seen: set[str]) -> list[Hypothesis]:
    """Move up to `wanted` rows out of the pool: playable ones first, then of new clusters and texts, then as drawn."""
    taken: list[Hypothesis] = []
    while pool and len(taken) < wanted:
        row = min(pool, key=lambda row: (row.id not in playable, len(seen & _marks(row)), draw(row.id)))
        pool.remove(row)
        seen |= _marks(row)
        taken.append(row)
    return taken


def _marks(row: Hypothesis) -> set[str]:
    """What two clips should not share: the prompt or speaker, and the text."""
    return {f"cluster {row.cluster}", f"text {row.reference_normalised}"}


def draw(utterance: str) -> str:
    """Where an utterance stands in the fixed order by which clips are drawn."""
    return hashlib.sha256(f"{SEED}\0{utterance}".encode()).hexdigest()


def errors(row: Hypothesis) -> int:
    """Substituted, deleted and inserted words of one utterance."""
    return row.substitutions + row.deletions + row.insertions


def locate(audio: str, run: Path) -> Path | None:
    """Find a recording: at its path, else below the run folder, which may have been copied elsewhere.

    Args:
        audio: the path of a hypothesis; a relative one is taken from the run folder.
        run: the run folder, as it is now.
    """
    if not audio:
        return None
    parts = Path(audio).parts
    candidates = [run / audio, *(run.joinpath(*parts[start:]) for start in range(1, len(parts)))]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def embed(path: Path) -> str | None:
    """Re-encode a recording as a small mono Opus file in a `data:` URI; None if it cannot be read."""
    try:
        if (small := _small_already(path)) is not None:
            return _data_uri(small)
        longest = int(CLIP_LONGEST_S * soundfile.info(path).samplerate)
        samples, rate = soundfile.read(path, frames=longest, dtype="float32", always_2d=True)
        mono = np.nan_to_num(samples.mean(axis=1))  # (samples,)
        if not mono.size:
            return None
        if rate != CLIP_RATE_HZ:
            mono = soxr.resample(mono, rate, CLIP_RATE_HZ)
        packed = _encoded(np.clip(mono, -1.0, 1.0))
    except (soundfile.LibsndfileError, OSError, ValueError):
        return None
    return _data_uri(packed)


def _encoded(mono: Samples) -> bytes:
    """(samples,) at CLIP_RATE_HZ as Opus; the same samples are encoded once, since several pages may show them."""
    digest = hashlib.sha256(mono.tobytes()).hexdigest()
    if digest not in _ENCODED:
        packed = io.BytesIO()
        soundfile.write(
            packed, mono, CLIP_RATE_HZ, format="OGG", subtype="OPUS", compression_level=OPUS_COMPRESSION
        )  # fmt: skip
        if len(_ENCODED) >= ENCODED_KEPT:
            _ENCODED.clear()
        _ENCODED[digest] = with_fixed_serial(packed.getvalue())
    return _ENCODED[digest]


def _small_already(path: Path) -> bytes | None:
    """The bytes of an Ogg Opus file that need no encoding: of one channel, short, and of few bytes."""
    about = soundfile.info(path)
    few = OPUS_BYTES_A_SECOND * about.duration + OPUS_HEAD_BYTES
    if (about.format, about.subtype, about.channels) != ("OGG", "OPUS", 1) or about.duration > CLIP_LONGEST_S:
        return None
    return path.read_bytes() if path.stat().st_size <= few else None


def _data_uri(opus: bytes) -> str:
    return "data:audio/ogg;base64," + base64.b64encode(opus).decode("ascii")
