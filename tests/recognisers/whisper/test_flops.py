"""The count of operations, against torch's own counter and by hand."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import IGNORED_LABEL
from speech_analogy.recognisers.whisper.flops import forward_flops, training_flops

TOLERANCE = 0.02


def test_forward_by_hand() -> None:
    """Width 2, one layer a side, feed-forward 3, 5 words, 1 mel; 4 frames, so 2 positions, and 3 tokens."""
    config = types.SimpleNamespace(
        d_model=2, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=3, decoder_ffn_dim=3, vocab_size=5,
        num_mel_bins=1,
    )  # fmt: skip
    convolutions = 2 * (4 * 1 * 2 * 3) + 2 * (2 * 2 * 2 * 3)
    encoder = 4 * (2 * 2 * 2 * 2) + 2 * (2 * 2 * 2 * 3) + 2 * (2 * 2 * 2 * 2)
    own = 4 * (2 * 3 * 2 * 2) + 2 * (2 * 3 * 3 * 2)
    across = 2 * (2 * 3 * 2 * 2) + 2 * (2 * 2 * 2 * 2) + 2 * (2 * 3 * 2 * 2)
    decoder = own + across + 2 * (2 * 3 * 2 * 3) + 2 * 3 * 2 * 5
    assert forward_flops(config, rows=1, frames=4, tokens=3) == convolutions + encoder + decoder
    assert forward_flops(config, rows=7, frames=4, tokens=3) == 7 * (convolutions + encoder + decoder)
    assert forward_flops(config, rows=1, frames=4, tokens=3, learned=2) == convolutions + encoder + decoder - 2 * 2 * 5


@pytest.mark.parametrize(("rows", "frames"), [(3, 350), (1, 3000)])
def test_training_as_torch_counts_it(small_whisper: Path, rows: int, frames: int) -> None:
    _agrees(str(small_whisper), rows, frames)


def test_training_of_a_real_size_as_torch_counts_it(tiny_en: str) -> None:
    _agrees(tiny_en, 2, 350)


def _agrees(model: str, rows: int, frames: int) -> None:
    """Within 2 %, with attention as plain products: a fused one computes its scores again."""
    recogniser = load_recogniser(model)
    recogniser.model.train()
    inputs, targets = recogniser.labels(["one two", "three", "four five six seven"][:rows])
    features = torch.randn(rows, recogniser.model.config.num_mel_bins, frames)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        recogniser.loss(features, inputs, targets).backward()
    learned = int((targets != IGNORED_LABEL).sum())
    counted = training_flops(recogniser.model.config, rows, frames, inputs.shape[1], learned)
    assert counted == pytest.approx(counter.get_total_flops(), rel=TOLERANCE)
