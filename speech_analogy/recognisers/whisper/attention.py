"""Attention for processors: products of matrices where torch's fused kernel is slower, that kernel everywhere else."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "sdpa_or_products"
"""For `from_pretrained(attn_implementation=...)`."""
QUERIES_AT_ONCE = 300
SCORES_AT_MOST = 1 << 26  # kept for the backward pass, a layer: 128 MiB in bf16


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention, as transformers asks for it.

    On a processor in bf16 the backward pass of torch's fused kernel takes about four times as long as the products
    it stands for (torch 2.15, AVX-512 with bf16), and its forward pass half as long again as the same products for a
    few hundred queries at a time, whose scores stay in the processor's cache: so training multiplies, and so does
    decoding. Where the scores are too many to be kept (27 MiB for a window of 30 s, a layer), they are made again in
    the backward pass, a few hundred queries at a time. On GPUs and in float32 the kernel is the fastest. The scores of
    the products are bf16, as in transformers' own eager attention; those of the kernel are float32.

    Args:
        query: (batch, heads, queries, width).
        key, value: (batch, heads, keys, width).
        attention_mask: boolean, True where a key is attended to, or added to the scores; None: every key, or every
            earlier one where the module is causal.

    Returns:
        (batch, queries, heads, width), and None in place of the weights.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    unmasked = attention_mask is None and not _is_causal(module, query, is_causal)
    dropped = dropout > 0 and module.training
    if unmasked and not dropped and _computes(query) and not _fits(query, key):
        long: Tensor = _LongAttention.apply(query, key, value, scale)
        return long, None
    if not (_computes(query) and _fits(query, key)):
        kernel = partial(sdpa_attention_forward, module, dropout=dropout, scaling=scaling, is_causal=is_causal)
        if query.device.type != "cpu" or query.dtype != torch.bfloat16 or torch.is_grad_enabled():
            return kernel(query, key, value, attention_mask, **options)
        if unmasked:
            return _in_pieces(query, key, value, scale), None
        mask = (
            attention_mask if attention_mask is None or attention_mask.dtype == torch.bool else attention_mask.float()
        )
        return kernel(query.float(), key.float(), value.float(), mask, **options)[0].to(query.dtype), None
    if attention_mask is None and not unmasked:
        attention_mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril(key.shape[2] - query.shape[2])
    scores = (query * scale) @ key.transpose(-1, -2)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attention_mask, -torch.inf)
    elif attention_mask is not None:
        scores = scores + attention_mask
    weights = F.dropout(scores.softmax(-1), dropout, module.training)  # (batch, heads, queries, keys)
    return (weights @ value).transpose(1, 2).contiguous(), None


def _is_causal(module: torch.nn.Module, query: Tensor, given: bool | None) -> bool:
    return query.shape[2] > 1 and (bool(getattr(module, "is_causal", True)) if given is None else given)


def _in_pieces(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Attention to every key, row by row and `QUERIES_AT_ONCE`: (batch, queries, heads, width)."""
    attended = query.new_empty(query.shape[0], query.shape[2], query.shape[1], value.shape[-1])
    for row in range(len(query)):
        asked, keys, values = query[row] * scaling, key[row].transpose(-1, -2).contiguous(), value[row].contiguous()
        for start in range(0, query.shape[2], QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            attended[row, part] = ((asked[:, part] @ keys).softmax(-1) @ values).transpose(0, 1)
    return attended


class _LongAttention(torch.autograd.Function):
    """Attention to every key, whose scores are made again in the backward pass: `_in_pieces` with a gradient."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.scaling = scaling
        return _in_pieces(query, key, value, scaling)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Given (batch, queries, heads, width); sums over queries are float32."""
        query, key, value = ctx.saved_tensors
        of_query, of_key, of_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        for row in range(len(query)):
            keys, values = key[row].contiguous(), value[row].transpose(-1, -2).contiguous()
            turned = keys.transpose(-1, -2).contiguous()
            sum_key, sum_value = (torch.zeros(one.shape[1:], dtype=torch.float32) for one in (key, value))
            for start in range(0, query.shape[2], QUERIES_AT_ONCE):
                part = slice(start, start + QUERIES_AT_ONCE)
                asked, answered = query[row, :, part] * ctx.scaling, given[row, part].transpose(0, 1).contiguous()
                weights = (asked @ turned).softmax(-1)  # (heads, queries, keys)
                sum_value += weights.transpose(-1, -2) @ answered
                of_scores = torch.ops.aten._softmax_backward_data(answered @ values, weights, -1, weights.dtype)
                sum_key += of_scores.transpose(-1, -2) @ asked
                of_query[row, :, part] = (of_scores @ keys) * ctx.scaling
            of_key[row], of_value[row] = sum_key, sum_value
        return of_query, of_key, of_value, None


def _computes(query: Tensor) -> bool:
    """In training on a processor in bf16."""
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and torch.is_grad_enabled()


def _fits(query: Tensor, key: Tensor) -> bool:
    """May the scores be kept for the backward pass?"""
    return query.shape[:3].numel() * key.shape[2] <= SCORES_AT_MOST


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
