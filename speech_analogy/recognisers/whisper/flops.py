"""How many floating-point operations a Whisper takes to learn from a batch, counted from its sizes."""

from __future__ import annotations

from typing import Any

FRAME_STRIDE = 2  # the encoder's second convolution halves the mel frames
KERNEL = 3  # of both convolutions


def forward_flops(config: Any, rows: int, frames: int, tokens: int, learned: int | None = None) -> int:
    """Operations of one forward pass: matrix products, convolutions and attention; a multiply-add counts as two.

    Embeddings, norms, softmax and activations are left out. Padding counts: the processor computes it. Attention
    counts in full, also where a mask hides half of it.

    Args:
        config: a `WhisperConfig`.
        rows: utterances in the batch.
        frames: mel frames (10 ms) of their window.
        tokens: decoder inputs a row, padding included.
        learned: tokens of the whole batch that are projected to the vocabulary; None: all of them.
    """
    width, positions = config.d_model, frames // FRAME_STRIDE
    first = _first_convolution(config, frames)
    second = 2 * positions * width * width * KERNEL
    encoder = config.encoder_layers * (
        _products(positions, width, 4 * width + 2 * config.encoder_ffn_dim) + _attention(positions, positions, width)
    )
    decoder = config.decoder_layers * (
        _products(tokens, width, 4 * width + 2 * width + 2 * config.decoder_ffn_dim)  # own attention; q and out across
        + _products(positions, width, 2 * width)  # keys and values of the encoder's positions
        + _attention(tokens, tokens, width)
        + _attention(tokens, positions, width)
    )
    projected = rows * tokens if learned is None else learned
    return int(rows * (first + second + encoder + decoder)) + _products(projected, width, config.vocab_size)


def training_flops(config: Any, rows: int, frames: int, tokens: int, learned: int | None = None) -> int:
    """Operations of forward and backward: three times the forward pass, as each product has two gradients.

    Only the first convolution has one: the features take no gradient. What a fused attention computes again in the
    backward pass, and the optimiser's arithmetic, are left out. Arguments as for `forward_flops`.
    """
    return 3 * forward_flops(config, rows, frames, tokens, learned) - int(rows * _first_convolution(config, frames))


def _first_convolution(config: Any, frames: int) -> int:
    return int(2 * frames * config.num_mel_bins * config.d_model * KERNEL)


def _products(positions: int, inputs: int, outputs: int) -> int:
    return 2 * positions * inputs * outputs


def _attention(queries: int, keys: int, width: int) -> int:
    """Scores, and the values they weigh; all heads together have the model's width."""
    return 2 * 2 * queries * keys * width
