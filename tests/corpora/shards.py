"""Shards of Lhotse Shar for tests: their clips are bytes that nobody decodes."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

RATE_HZ = 16_000


def write_shards(folder: Path, durations_s: Sequence[float], in_a_shard: int, names: str = "clip") -> Path:
    """A folder of shards with a cut for each duration, of two domains, TTS and real speech in turn."""
    folder.mkdir(parents=True)
    for shard, first in enumerate(range(0, len(durations_s), in_a_shard)):
        rows = []
        with tarfile.open(folder / f"recording.{shard:06d}.tar", "w") as tar:
            for number in range(first, min(first + in_a_shard, len(durations_s))):
                name, cut = f"{names}-{number}", _cut(f"{names}-{number}", number, durations_s[number])
                rows.append(json.dumps(cut) + "\n")
                for suffix, content in (("flac", f"audio of {name}"), ("json", json.dumps(cut["recording"]))):
                    member = tarfile.TarInfo(f"{name}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content.encode()))
        (folder / f"cuts.{shard:06d}.jsonl.gz").write_bytes(gzip.compress("".join(rows).encode()))
    return folder


def _cut(name: str, number: int, seconds: float) -> dict[str, object]:
    samples = round(seconds * RATE_HZ)
    recording = {
        "id": name,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": RATE_HZ,
        "num_samples": samples,
        "duration": samples / RATE_HZ,
        "channel_ids": [0],
    }
    span = {"start": 0.0, "duration": samples / RATE_HZ, "channel": 0}
    text, speaker = f"Say the words of number {number // 2}", f"speaker {number % 5}"
    said = {"id": name, "recording_id": name, **span, "text": text, "language": "en", "speaker": speaker}
    custom = {"domain": f"domain {number % 2}", "kind": "synthetic" if number % 3 else "real"}
    return {"id": name, **span, "supervisions": [said], "recording": recording, "custom": custom, "type": "MonoCut"}
