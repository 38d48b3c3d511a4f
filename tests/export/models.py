"""A small Whisper of the shape that every published one has, for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import torch

from speech_analogy.recognisers.whisper.folder import write_folder
from tests.conftest import small_whisper_tensors

FEED_FORWARD = 4 * 64  # of a model of width 64


def small_model(folder: Path, vocabulary: int = 51864) -> Path:
    """Random weights, feed-forward layers of four times the width."""
    tensors = small_whisper_tensors(vocabulary=vocabulary)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in tensors.items():
        if ".fc1." in name or name.endswith(".fc2.weight"):
            shape = [FEED_FORWARD if size == 32 else size for size in tensor.shape]
            tensors[name] = 0.02 * torch.randn(shape, generator=generator)
    return write_folder(tensors, folder, {"base": "small"}, folder)
