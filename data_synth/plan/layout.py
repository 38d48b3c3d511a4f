"""How clips are stored: loose files or tars, FLAC or Opus."""

from __future__ import annotations

from typing import Literal, TypeAlias

from data_synth.audio.encode import Storage

StorageLayout: TypeAlias = Literal["flac", "opus", "shar", "shar-opus"]


CLIPS_PER_TAR = 1000  # of a tar: about 30 MB of FLAC at 16 kHz


SHAR_LAYOUTS: tuple[StorageLayout, ...] = ("shar", "shar-opus")


def clip_format(layout: StorageLayout) -> Storage:
    """The format of a clip."""
    return "opus" if layout in ("opus", "shar-opus") else "flac"
