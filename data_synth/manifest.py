"""Clips as Lhotse cuts: one cut, one recording, one supervision each, in a gzipped JSONL written whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment

from data_synth.clips import PARTIAL_SUFFIX

CUTS_NAME = "cuts.jsonl.gz"
COMPRESSION_LEVEL = 6  # of gzip


def make_recording(recording_id: str, path: Path, samples: int, sampling_rate: int) -> Recording:
    """A mono file of `samples` at `sampling_rate` Hz."""
    return Recording(
        id=recording_id,
        sources=[AudioSource(type="file", channels=[0], source=str(path))],
        sampling_rate=sampling_rate,
        num_samples=samples,
        duration=samples / sampling_rate,
    )


def make_cut(
    cut_id: str,
    path: Path,
    samples: int,
    sampling_rate: int,
    *,
    text: str,
    speaker: str | None,
    language: str | None,
    custom: dict[str, Any],
) -> MonoCut:
    """A whole mono file as a cut: `samples` at `sampling_rate` Hz, labelled with `text`."""
    recording = make_recording(cut_id, path, samples, sampling_rate)
    supervision = SupervisionSegment(
        id=cut_id,
        recording_id=cut_id,
        start=0.0,
        duration=recording.duration,
        text=text,
        language=language,
        speaker=speaker,
    )
    return MonoCut(
        id=cut_id,
        start=0.0,
        duration=recording.duration,
        channel=0,
        recording=recording,
        supervisions=[supervision],
        custom=custom,
    )


def write_cuts(cuts: Iterable[MonoCut], path: Path) -> int:
    """Write cuts under a temporary name and rename; the same cuts give the same bytes. Returns their number."""
    temporary = path.with_name(path.name + PARTIAL_SUFFIX)
    count = 0
    with (
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", COMPRESSION_LEVEL, fileobj=raw, mtime=0) as file,
    ):
        for cut in cuts:
            file.write((json.dumps(cut.to_dict(), ensure_ascii=False) + "\n").encode("utf-8"))
            count += 1
    temporary.replace(path)
    return count
