"""The loss over learned tokens against torch's own cross-entropy."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import IGNORED_LABEL
from speech_analogy.recognisers.whisper.token_loss import ROWS_AT_ONCE, token_loss

VOCABULARY, WIDTH = 211, 12


def drawn(rows: int, tokens: int, ignored: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows * 100 + tokens)
    hidden = torch.randn(rows, tokens, WIDTH, generator=generator).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_()
    targets = torch.randint(0, VOCABULARY, (rows, tokens), generator=generator)
    targets[torch.rand(rows, tokens, generator=generator) < ignored] = IGNORED_LABEL
    targets[0, 0] = 3
    return hidden, weight, targets


def usual(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy((hidden @ weight.T).flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED_LABEL)


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (3, 5), (4, ROWS_AT_ONCE), (7, 29)])
@pytest.mark.parametrize("ignored", [0.0, 0.6])
def test_value_and_gradients_are_those_of_cross_entropy(rows: int, tokens: int, ignored: float) -> None:
    hidden, weight, targets = drawn(rows, tokens, ignored)
    expected = usual(hidden, weight, targets)
    gradients = torch.autograd.grad(expected * 0.3, (hidden, weight))
    found = token_loss(hidden, weight, targets)
    assert torch.allclose(found, expected, rtol=1e-6)
    for own, other in zip(torch.autograd.grad(found * 0.3, (hidden, weight)), gradients, strict=True):
        assert torch.allclose(own, other, atol=1e-7, rtol=1e-4)


def test_by_hand() -> None:
    """Logits 0 and log 3 of two words: the losses are log 4 and log 4/3; the second token is not learned."""
    hidden = torch.tensor([[[1.0], [5.0], [1.0]]], requires_grad=True)
    weight = torch.tensor([[0.0], [math.log(3)]])
    loss = token_loss(hidden, weight, torch.tensor([[0, IGNORED_LABEL, 1]]))
    assert loss.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
    loss.backward()
    expected = [0.75 * math.log(3) / 2, 0.0, (0.75 - 1) * math.log(3) / 2]
    assert hidden.grad is not None
    assert hidden.grad.flatten().tolist() == pytest.approx(expected)


def test_in_bf16_as_close_as_cross_entropy_in_bf16() -> None:
    hidden, weight, targets = drawn(6, 20, 0.3)
    true = torch.autograd.grad(usual(hidden, weight, targets), weight)[0]
    with torch.autocast("cpu", torch.bfloat16):
        own, other = token_loss(hidden, weight, targets), usual(hidden, weight, targets)
    assert own.dtype == torch.float32
    errors = [(torch.autograd.grad(loss, weight)[0] - true).norm().item() for loss in (own, other)]
    assert errors[0] < 1.2 * errors[1]
    assert errors[0] < 0.02 * true.norm().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("words_at_once", [50, VOCABULARY, 4096])
def test_in_place_adds_the_same_gradient_to_what_is_there(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, words_at_once: int
) -> None:
    monkeypatch.setattr("speech_analogy.recognisers.whisper.token_loss.WORDS_AT_ONCE", words_at_once)
    hidden, weight, targets = drawn(3, 7, 0.4)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        usually = token_loss(hidden, weight, targets)
        expected = torch.autograd.grad(usually * 0.3, (hidden, weight))
        for before in (0.0, 1.0):  # nothing yet, then the sum of earlier parts
            hidden.grad = None
            weight.grad = torch.full_like(weight, before) if before else None
            loss = token_loss(hidden, weight, targets, in_place=True)
            assert loss.item() == usually.item()
            torch.autograd.backward(loss * 0.3)
            assert hidden.grad is not None
            assert weight.grad is not None
            assert torch.allclose(hidden.grad, expected[0], rtol=1e-5)
            assert torch.allclose(weight.grad, before + expected[1], atol=1e-6, rtol=1e-2 if before == 0 else 1e-5)


def test_in_place_the_gradient_does_not_pass_through_autograd() -> None:
    hidden, weight, targets = drawn(3, 7, 0.0)
    weight.grad = torch.zeros_like(weight)
    there = weight.grad
    loss = token_loss(hidden, weight, targets, in_place=True)
    assert loss.grad_fn is not None
    leaves = [getattr(edge, "variable", None) for edge, _ in loss.grad_fn.next_functions]
    assert all(leaf is not weight for leaf in leaves)
    torch.autograd.backward(loss)
    assert weight.grad is there
    assert there.abs().sum() > 0


def test_a_frozen_weight_gets_no_gradient_in_place() -> None:
    hidden, weight, targets = drawn(2, 3, 0.0)
    weight = weight.detach()
    torch.autograd.backward(token_loss(hidden, weight, targets, in_place=True))
    assert weight.grad is None
    assert hidden.grad is not None


def test_nothing_learned_is_nan_as_in_torch() -> None:
    hidden, weight, targets = drawn(2, 3, 0.0)
    targets[:] = IGNORED_LABEL
    assert math.isnan(token_loss(hidden, weight, targets).item())


def test_a_second_backward_pass_is_refused() -> None:
    hidden, weight, targets = drawn(2, 3, 0.0)
    loss = token_loss(hidden, weight, targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="differentiated once"):
        loss.backward()


def test_whispers_loss_is_the_usual_one(small_whisper: str) -> None:
    """Against the logits of the published class, also where the embedding's gradient is sparse."""
    recogniser = load_recogniser(small_whisper)
    inputs, targets = recogniser.labels(["one two", "three four five six"])
    features = torch.randn(2, recogniser.model.config.num_mel_bins, 300)
    logits = recogniser.model(input_features=features, decoder_input_ids=inputs).logits
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED_LABEL)
    expected.backward()
    gradients = {name: p.grad for name, p in recogniser.model.named_parameters() if p.grad is not None}
    recogniser.model.zero_grad()
    loss = recogniser.loss(features, inputs, targets)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    found = {name: p.grad for name, p in recogniser.model.named_parameters() if p.grad is not None}
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert not found[name].is_sparse, name
        assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-3), name


def test_a_saved_model_names_the_published_class(small_whisper: str, tmp_path: object) -> None:
    recogniser = load_recogniser(small_whisper)
    recogniser.save(tmp_path)
    again = load_recogniser(str(tmp_path))
    assert again.model.config.architectures == ["WhisperForConditionalGeneration"]
