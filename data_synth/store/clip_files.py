"""Where loose clips lie, whether they are there, and what a killed run left."""

from __future__ import annotations

from pathlib import Path

from data_synth.audio.encode import Storage
from speech_analogy.foundation.files import PARTIAL_SUFFIX

CLIPS_FOLDER = "clips"


REJECTED_FOLDER = "rejected"


def clip_path(key: str, storage: Storage) -> str:
    """Where the clip of a key lies in its folder: `clips/ab/abcd….flac`."""
    return f"{CLIPS_FOLDER}/{key[:2]}/{key}.{storage}"


def exists(path: Path) -> bool:
    """Whether a clip is there and not empty."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def sweep_partials(out: Path) -> None:
    """Remove what a killed run was writing."""
    for folder in (CLIPS_FOLDER, REJECTED_FOLDER):
        for partial in (out / folder).glob(f"*/*{PARTIAL_SUFFIX}"):
            partial.unlink(missing_ok=True)
    for partial in out.glob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)
