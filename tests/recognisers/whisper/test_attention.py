"""Attention: the products and the kernel compute the same thing; which of them does is a matter of speed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from speech_analogy.recognisers.whisper import attention as attention_module
from speech_analogy.recognisers.whisper.attention import ATTENTION, attention
from speech_analogy.recognisers.whisper.model import WhisperRecogniser

BF16_TOLERANCE = 0.03  # 8 bits of mantissa, values of about 1


Inputs = tuple[Tensor, Tensor, Tensor]


def _inputs(queries: int, keys: int, dtype: torch.dtype) -> Inputs:
    generator = torch.Generator().manual_seed(0)

    def draw(length: int) -> Tensor:
        return torch.randn((2, 3, length, 16), generator=generator).to(dtype).requires_grad_()

    return draw(queries), draw(keys), draw(keys)


def _by_hand(query: Tensor, key: Tensor, value: Tensor, attended: Tensor | None) -> Tensor:
    """softmax(q k' / sqrt(d)) v in float64."""
    q, k, v = (tensor.detach().double().requires_grad_() for tensor in (query, key, value))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if attended is not None:
        scores = scores.masked_fill(~attended, -torch.inf)
    out = (scores.softmax(-1) @ v).transpose(1, 2)
    torch.autograd.backward(out.square().sum())
    return torch.cat([out.detach().flatten(), *(t.grad.flatten() for t in (q, k, v) if t.grad is not None)])


def _found(inputs: Inputs, mask: Tensor | None, causal: bool) -> Tensor:
    module: Any = SimpleNamespace(is_causal=causal, training=True)
    out, weights = attention(module, *inputs, mask)
    assert weights is None
    torch.autograd.backward(out.double().square().sum())
    grads = [tensor.grad.double().flatten() for tensor in inputs if tensor.grad is not None]
    return torch.cat([out.detach().double().flatten(), *grads])


@pytest.mark.parametrize("queries", [7, 1])
@pytest.mark.parametrize("masked", ["none", "causal", "boolean", "added"])
def test_products_are_attention_and_so_are_their_gradients(masked: str, queries: int) -> None:
    inputs = _inputs(queries, 7, torch.bfloat16)
    attended, mask = None, None
    if masked == "causal" and queries > 1:
        attended = torch.ones(queries, 7, dtype=torch.bool).tril()
    if masked in ("boolean", "added"):
        attended = torch.arange(7)[None, None, None] < torch.tensor([4, 7])[:, None, None, None]
        mask = attended if masked == "boolean" else torch.zeros(attended.shape).masked_fill(~attended, -1e4).bfloat16()
    found = _found(inputs, mask, masked == "causal")
    expected = _by_hand(*inputs, attended)
    scale = expected.abs().max()
    assert torch.allclose(found / scale, expected / scale, atol=BF16_TOLERANCE)
    with torch.no_grad():
        out, _ = attention(cast("Any", SimpleNamespace(is_causal=masked == "causal", training=False)), *inputs, mask)
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.double().flatten(), expected[: out.numel()], atol=BF16_TOLERANCE)


@pytest.mark.parametrize("at_once", [1, 3, 5, 7, 8])
def test_pieces_are_the_whole(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven queries in pieces that fit and that do not."""
    monkeypatch.setattr(attention_module, "QUERIES_AT_ONCE", at_once)
    inputs = _inputs(7, 9, torch.bfloat16)
    expected = _by_hand(*inputs, None)
    with torch.no_grad():
        out, _ = attention(cast("Any", SimpleNamespace(is_causal=False, training=False)), *inputs, None)
    assert out.shape == (2, 7, 3, 16)
    assert torch.allclose(out.double().flatten(), expected[: out.numel()], atol=BF16_TOLERANCE)


@pytest.mark.parametrize("at_once", [1, 3, 7, 8])
def test_scores_made_again_give_the_gradients_of_those_that_are_kept(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven queries to nine keys, in pieces that fit and that do not; no scores are held for the backward pass."""
    monkeypatch.setattr(attention_module, "QUERIES_AT_ONCE", at_once)
    monkeypatch.setattr(attention_module, "SCORES_AT_MOST", 2 * 3 * 7 * 9 - 1)
    kept: list[tuple[int, ...]] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tuple(tensor.shape))
        return tensor

    inputs = _inputs(7, 9, torch.bfloat16)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        found = _found(inputs, None, causal=False)
    expected = _by_hand(*inputs, None)
    scale = expected.abs().max()
    assert torch.allclose(found / scale, expected / scale, atol=BF16_TOLERANCE)
    assert (2, 3, 7, 9) not in kept
    kept.clear()
    monkeypatch.setattr(attention_module, "SCORES_AT_MOST", 2 * 3 * 7 * 9)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _found(_inputs(7, 9, torch.bfloat16), None, causal=False)
    assert (2, 3, 7, 9) in kept or (6, 7, 9) in kept


def test_which_of_them_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel: list[torch.dtype] = []

    def count(module: Any, query: Tensor, *rest: Any, **options: Any) -> tuple[Tensor, None]:
        kernel.append(query.dtype)
        return query.transpose(1, 2), None

    monkeypatch.setattr(attention_module, "sdpa_attention_forward", count)
    module: Any = SimpleNamespace(is_causal=False, training=True)
    attention(module, *_inputs(3, 3, torch.bfloat16), None)
    assert kernel == []
    attention(module, *_inputs(3, 3, torch.float32), None)
    with torch.no_grad():
        attention(module, *_inputs(3, 3, torch.bfloat16), None)
        assert kernel == [torch.float32]
        attention(module, *_inputs(3, 3, torch.bfloat16), torch.ones(2, 1, 3, 3, dtype=torch.bool))
    monkeypatch.setattr(attention_module, "SCORES_AT_MOST", 2 * 3 * 3 * 3 - 1)
    attention(module, *_inputs(3, 3, torch.bfloat16), None)
    assert kernel == [torch.float32, torch.float32]  # the scores are made again
    attention(module, *_inputs(3, 3, torch.bfloat16), torch.ones(2, 1, 3, 3, dtype=torch.bool))
    assert kernel == [torch.float32, torch.float32, torch.bfloat16]


def test_a_model_has_it_and_a_saved_one_says_nothing_of_it(small_whisper: Path, tmp_path: Path) -> None:
    recogniser = WhisperRecogniser(small_whisper)
    assert recogniser.config._attn_implementation == ATTENTION
    recogniser.save(tmp_path)
    assert ATTENTION not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_a_models_loss_and_gradients_are_the_kernels(small_whisper: Path) -> None:
    recogniser = WhisperRecogniser(small_whisper)
    features = torch.randn((2, recogniser.config.num_mel_bins, 200), generator=torch.Generator().manual_seed(0))
    inputs, targets = recogniser.labels(["one", "two words"])
    found = []
    for implementation in (ATTENTION, "sdpa"):
        recogniser.model.set_attn_implementation(implementation)
        recogniser.model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = recogniser.loss(features, inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [p.grad.flatten() for p in recogniser.model.parameters() if p.grad is not None]
        found.append((loss.item(), torch.cat(grads)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-3)
    assert torch.nn.functional.cosine_similarity(found[0][1], found[1][1], dim=0) > 0.999
