"""Clips as Lhotse cuts: one cut, one recording, one supervision each, in a gzipped JSONL written whole.

Lhotse brings torch along, seconds of start-up; so a clip's cut is written as the JSON that Lhotse would write, and
Lhotse itself is imported only where its objects are asked for.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from speech_analogy.foundation.files import replacing

if TYPE_CHECKING:
    from lhotse import MonoCut, Recording

    from data_synth.plan.attempt import LedgerRow

CUTS_NAME = "cuts.jsonl.gz"
CUT_KEY_DIGITS = 10  # of the clip's key in a cut's id
COMPRESSION_LEVEL = 6  # of gzip


class CutWriter(Protocol):
    """Takes one cut, as the dictionary that Lhotse writes."""

    def __call__(self, cut: dict[str, Any]) -> None:
        """Write it."""


def make_recording(recording_id: str, path: Path, samples: int, sampling_rate: int) -> Recording:
    """A mono file of `samples` at `sampling_rate` Hz."""
    from lhotse import Recording

    return Recording.from_dict(recording_entry(recording_id, "file", str(path), samples, sampling_rate))


def recording_entry(recording_id: str, kind: str, source: str, samples: int, sampling_rate: int) -> dict[str, Any]:
    """A mono recording of `samples` at `sampling_rate` Hz, as Lhotse writes it.

    Args:
        recording_id: its id.
        kind: `file`, or `shar` where the clip lies beside it in a tar shard.
        source: the path of the file; empty in a shard.
        samples: how many.
        sampling_rate: in Hz.
    """
    return {
        "id": recording_id,
        "sources": [{"type": kind, "channels": [0], "source": source}],
        "sampling_rate": sampling_rate,
        "num_samples": samples,
        "duration": samples / sampling_rate,
        "channel_ids": [0],
    }


def cut_id(row: LedgerRow) -> str:
    """The id of a kept clip's cut: its text's id and the beginning of its key."""
    return f"{row.text_id}-{row.key[:CUT_KEY_DIGITS]}"


def cut_entry(row: LedgerRow, recording: dict[str, Any], language: str) -> dict[str, Any]:
    """A kept clip as a cut, as Lhotse writes it: a whole mono recording labelled with the row's text.

    Args:
        row: of a clip that was kept.
        recording: see `recording_entry`; the cut takes its id.
        language: of the text.
    """
    custom: dict[str, Any] = {
        "domain": row.domain,
        "kind": "synthetic",
        "engine": row.engine,
        "voice": row.voice,
        "text_id": row.text_id,
        "prompt": row.text_id,
        "spoken": row.text if row.spoken is None else row.spoken,
    }
    if row.channel is not None:
        custom["channel"] = row.channel["is"]
    return _cut(recording, row.text, f"{row.engine}:{row.voice}", language, custom)


def _cut(
    recording: dict[str, Any], text: str, speaker: str | None, language: str | None, custom: dict[str, Any]
) -> dict[str, Any]:
    name, duration = recording["id"], recording["duration"]
    supervision = {
        "id": name,
        "recording_id": name,
        "start": 0.0,
        "duration": duration,
        "channel": 0,
        "text": text,
        "language": language,
        "speaker": speaker,
    }
    return {
        "id": name,
        "start": 0.0,
        "duration": duration,
        "channel": 0,
        "supervisions": [supervision],
        "recording": recording,
        "custom": custom,
        "type": "MonoCut",
    }


def cut_line(cut: dict[str, Any]) -> bytes:
    """A cut as a line of a manifest."""
    return (json.dumps(cut, ensure_ascii=False) + "\n").encode("utf-8")


@contextmanager
def writing_cuts(path: Path, temporary: Path | None = None) -> Iterator[CutWriter]:
    """Write cuts under a temporary name (beside `path`, by default) and rename where the block ends well.

    The same cuts give the same bytes.
    """
    with (
        replacing(path, temporary) as partial,
        partial.open("wb") as raw,
        gzip.GzipFile("", "wb", COMPRESSION_LEVEL, fileobj=raw, mtime=0) as file,
    ):

        def write(cut: dict[str, Any]) -> None:
            file.write(cut_line(cut))

        yield write


def write_cuts(cuts: Iterable[MonoCut], path: Path) -> int:
    """Write cuts under a temporary name and rename; the same cuts give the same bytes. Returns their number."""
    count = 0
    with writing_cuts(path) as write:
        for cut in cuts:
            write(cut.to_dict())
            count += 1
    return count
