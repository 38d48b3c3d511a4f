"""Features of training utterances, made once: kept over the epochs, and on disk for other fine-tunings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.shar.clips import clips_of
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.model_files import read_array
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.recognisers.windows import (
    SAMPLING_RATE_HZ,
    Window,
    padding_of,
    trimmed_settings,
    window_seconds,
)

KEPT_BYTES = 1 << 30  # in memory; what does not fit is made again
SILENCE_FROM_S = 0.05  # of slack: with this much silence at a window's end, its last frame is a frame of silence


class FeatureStore:
    """Where the features of a fine-tuning's batches come from.

    Log-mel features of an utterance in its own trimmed window end with frames of silence. In a longer window they
    are the same and end with more of those frames, so each utterance's are made once, whatever it shares a batch with.
    Families whose features silence does not repeat, full windows and other padding than silence are not kept: there
    the features depend on the window.

    Args:
        recogniser: makes features.
        window: what the model is tuned in.
        folder: kept there, a file an utterance, for whoever else names the folder; None: in memory.
        kept_bytes: in memory at most.
    """

    def __init__(
        self, recogniser: Recogniser, window: Window, folder: Path | None = None, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self._recogniser, self._window, self._folder = recogniser, window, folder
        settings = trimmed_settings(window)
        self.keeps = bool(
            family_of(recogniser).features.silence_repeats
            and settings is not None
            and settings.padding == "silence"
            and settings.slack_s >= SILENCE_FROM_S
        )
        self._rows: dict[str, torch.Tensor] = {}
        self._free_bytes = kept_bytes

    def batch(self, cuts: Sequence[Any], window_s: float) -> torch.Tensor:
        """Features of some utterances in one window: as `Recogniser.features` gives them, float32."""
        if not self.keeps:
            waveforms = [load_audio(cut, SAMPLING_RATE_HZ) for cut in cuts]
            return self._recogniser.features(waveforms, window_s, padding_of(self._window))
        rows = [self._row(cut) for cut in cuts]  # each (mels, frames)
        frames = round(window_s / window_seconds(cuts[0].duration, self._window) * rows[0].shape[1])
        features = torch.empty((len(rows), len(rows[0]), frames))
        for target, row in zip(features, rows, strict=True):
            target[:, : row.shape[1]] = row
            target[:, row.shape[1] :] = row[:, -1:]
        return features

    def _row(self, cut: Any) -> torch.Tensor:
        """One utterance in its own window: (mels, frames) float32."""
        key = self._key(cut)
        if key in self._rows:
            return self._rows[key]
        row = self._read(key)
        if row is None:
            seconds = window_seconds(cut.duration, self._window)
            row = self._recogniser.features([load_audio(cut, SAMPLING_RATE_HZ)], seconds)[0].clone()
            self._write(key, row)
        if self._folder is None and row.nbytes <= self._free_bytes:
            self._free_bytes -= row.nbytes
            self._rows[key] = row
        return row

    def _key(self, cut: Any) -> str:
        """What the features depend on: the recording, what is done to it, the window and the kind of features."""
        content = cut.to_dict()
        for name in ("supervisions", "custom", "id"):
            content.pop(name, None)
        files = [Path(source["source"]) for source in content["recording"]["sources"] if source["type"] == "file"]
        states = [file.stat() for file in (*files, *(clip.tar for clip in clips_of(cut)))]
        kind = [window_seconds(cut.duration, self._window), self._recogniser.kind_of_features]
        parts = [content, [[state.st_size, state.st_mtime_ns] for state in states], kind]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def _file(self, key: str) -> Path | None:
        return None if self._folder is None else self._folder / key[:2] / f"{key}.npy"

    def _read(self, key: str) -> torch.Tensor | None:
        file = self._file(key)
        try:
            return None if file is None else torch.from_numpy(read_array(file))
        except (OSError, ValueError, EOFError, TypeError):  # not there, or torn: it is made anew
            return None

    def _write(self, key: str, row: torch.Tensor) -> None:
        file = self._file(key)
        if file is None:
            return
        with whole_file(file, one_of_many=True) as building, building.open("wb") as stream:
            np.save(stream, row.numpy())
