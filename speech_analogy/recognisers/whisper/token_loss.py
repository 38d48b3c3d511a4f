"""Cross-entropy of the learned tokens alone, in about a fifth of the memory of the usual one.

The vocabulary is what makes logits large: 52 thousand numbers a token, in Whisper most of a small model's memory.
Usual code holds them in autocast's dtype, again in float32, and again for the softmax and each gradient; and makes
them for the padding too. Here the rows that are learned are projected once, and the gradient takes the logits' place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from speech_analogy.recognisers.protocol import IGNORED_LABEL

ROWS_AT_ONCE = 32  # in float32: 6.6 MB of a vocabulary of 51,865
WORDS_AT_ONCE = 4096  # of the weights' gradient, in float32: 6.3 MB of Whisper tiny


def token_loss(hidden: Tensor, weight: Tensor, targets: Tensor, *, in_place: bool = False) -> Tensor:
    """Mean cross-entropy over the learned tokens, as `F.cross_entropy(hidden @ weight.T, targets)` gives it.

    The products are in autocast's dtype, or the weights' own; softmax and sums are float32.

    Args:
        hidden: (batch, tokens, width), the decoder's states.
        weight: (vocabulary, width), of the projection.
        targets: (batch, tokens) int64, -100 where nothing is learned.
        in_place: `backward` adds the weight's gradient to `weight.grad` itself, a few words at a time. Autograd would
            hold it, as large as the weight and in a step of several parts beside the sum of the earlier ones, until
            the embedding that the weight is tied to has its own. For one process, and for `backward` alone.

    Returns:
        () float32; NaN where no token is learned. It can be differentiated once.
    """
    learned = targets.flatten() != IGNORED_LABEL
    hidden, targets = hidden.flatten(0, 1)[learned], targets.flatten()[learned]
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    with torch.autocast(device, enabled=False):
        if in_place and weight.requires_grad:
            loss: Tensor = _TokenLoss.apply(hidden.to(dtype), weight.detach().to(dtype), targets, [weight])
        else:
            loss = _TokenLoss.apply(hidden.to(dtype), weight.to(dtype), targets, [])
    return loss


class _TokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, into: list[Tensor]) -> Tensor:
        logits = F.linear(hidden, weight)  # (learned, vocabulary)
        normalisers = logits.new_empty(len(logits), dtype=torch.float32)
        lost = logits.new_zeros((), dtype=torch.float32)
        for start in range(0, len(logits), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            values = logits[rows].float()
            normalisers[rows] = values.logsumexp(-1)
            lost += (normalisers[rows] - values.gather(1, targets[rows, None])[:, 0]).sum()
        ctx.save_for_backward(hidden, weight, targets, normalisers)
        ctx.logits, ctx.into = logits, into
        return lost / len(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        hidden, weight, targets, normalisers = ctx.saved_tensors
        if ctx.logits is None:
            raise RuntimeError("token_loss can be differentiated once: its logits became the gradient")
        gradient, ctx.logits = ctx.logits, None
        scale = given / len(gradient)
        for start in range(0, len(gradient), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            values = gradient[rows].float().sub_(normalisers[rows, None]).exp_()
            values.scatter_add_(1, targets[rows, None], values.new_full((len(values), 1), -1.0))
            gradient[rows] = values.mul_(scale)
        of_hidden = gradient @ weight if ctx.needs_input_grad[0] else None
        of_weight = gradient.T @ hidden if ctx.needs_input_grad[1] else None
        for parameter in ctx.into:
            _add(gradient, hidden, parameter)
        return of_hidden, of_weight, None, None


def _add(gradient: Tensor, hidden: Tensor, parameter: Tensor) -> None:
    """Add gradient.T @ hidden, (vocabulary, width), to the parameter's gradient."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    for start in range(0, len(parameter), WORDS_AT_ONCE):
        words = slice(start, start + WORDS_AT_ONCE)
        parameter.grad[words] += gradient[:, words].T @ hidden
