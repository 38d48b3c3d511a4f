"""Rejected clips, kept to be listened to where that is asked for: beside the clips, never among the cuts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_synth.audio.encode import Storage, encode, resample
from data_synth.audio.samples import Samples
from data_synth.store.clip_files import REJECTED_FOLDER
from speech_analogy.foundation.files import write_whole

STORAGES: tuple[Storage, ...] = ("flac", "opus")


def rejected_path(key: str, storage: Storage) -> str:
    """Where a rejected clip lies in its folder: `rejected/ab/abcd….flac`."""
    return f"{REJECTED_FOLDER}/{key[:2]}/{key}.{storage}"


def store_rejected(out: Path, key: str, samples: Samples, rate: int, sampling_rate: int, storage: Storage) -> None:
    """Store what a gate rejected, as far as it can be stored: NaN as silence, nothing where there is nothing.

    Args:
        out: the folder.
        key: of the ledger's row.
        samples: float32 mono, shape (samples,), as judged.
        rate: theirs, in Hz.
        sampling_rate: of the folder's clips, in Hz.
        storage: of the folder's clips.

    Raises:
        OSError: it cannot be written.
    """
    if samples.size:
        finite = np.nan_to_num(samples, posinf=1.0, neginf=-1.0).astype(np.float32)
        content = encode(resample(finite, rate, sampling_rate), sampling_rate, storage)
        write_whole(out / rejected_path(key, storage), content, lasting=False)


def find_rejected(out: Path, key: str) -> Path | None:
    """The file of a rejected clip, or None: rejected clips are stored only where that was asked for."""
    paths = (out / rejected_path(key, storage) for storage in STORAGES)
    return next((path for path in paths if path.is_file()), None)
