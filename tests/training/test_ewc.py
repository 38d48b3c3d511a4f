"""Elastic weight consolidation: its gradient, its importance and what it holds."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file

from speech_analogy.errors import ConfigError
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import IGNORED_LABEL, Recogniser
from speech_analogy.training.batching import make_batch
from speech_analogy.training.ewc import Anchor
from speech_analogy.training.features import FeatureStore
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import EwcOptions, FinetuneOptions

OPTIONS = FinetuneOptions(learning_rate=1e-3, epochs=1, batch_size=8, precision="fp32")


def anchored(recogniser: Recogniser, cuts: CutSet, **options: object) -> Anchor:
    store = FeatureStore(recogniser, "trimmed")
    parameters = {name: p for name, p in recogniser.model.named_parameters() if p.requires_grad}
    return Anchor(recogniser, cuts, EwcOptions.parse(options), parameters, "trimmed", store, nullcontext)


def test_importance_is_the_mean_square_of_each_utterances_gradient(noises: CutSet, small_whisper: Path) -> None:
    """By torch's own cross-entropy on the published class's logits, summed over an utterance's tokens."""
    recogniser = load_recogniser(small_whisper)
    cuts = CutSet.from_cuts(list(noises)[:3])
    anchor = anchored(recogniser, cuts)
    expected = {name: torch.zeros_like(p) for name, p in anchor.parameters.items()}
    for cut in cuts:
        batch = make_batch([cut], recogniser, "trimmed")
        logits = recogniser.model(input_features=batch.features, decoder_input_ids=batch.inputs).logits
        lost = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED_LABEL, reduction="sum"
        )
        for name, gradient in zip(expected, torch.autograd.grad(lost, list(anchor.parameters.values())), strict=True):
            expected[name] += gradient**2
    mean = torch.cat([values.flatten() for values in expected.values()]).mean()
    for name, values in anchor.importance.items():
        assert torch.allclose(values, expected[name] / mean, rtol=1e-3, atol=1e-5), name
    assert all("encoder" in name for name in anchor.importance)
    assert all(p.grad is None for p in recogniser.model.parameters())


def test_the_pull_is_the_gradient_of_the_penalty(noises: CutSet, small_whisper: Path) -> None:
    recogniser = load_recogniser(small_whisper)
    anchor = anchored(recogniser, CutSet.from_cuts(list(noises)[:2]), strength=0.7)
    for parameter in anchor.parameters.values():
        parameter.data += 0.01 * torch.randn_like(parameter)
        parameter.grad = torch.ones_like(parameter)
    penalty = sum(
        (anchor.importance[name] * (p - anchor.origin[name]) ** 2).sum() for name, p in anchor.parameters.items()
    )
    expected = torch.autograd.grad(0.7 / 2 * penalty, list(anchor.parameters.values()))
    anchor.pull()
    for parameter, gradient in zip(anchor.parameters.values(), expected, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, 1 + gradient, rtol=1e-4, atol=1e-6)


def test_what_matters_moves_less(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    """The distance that the encoder's parameters go, each weighed by its importance."""
    recogniser = load_recogniser(small_whisper)
    importance = anchored(recogniser, noises, utterances=4).importance
    before = load_file(small_whisper / "model.safetensors")
    ways = {}
    for name, ewc in (("free", None), ("held", EwcOptions(strength=1e3, utterances=4))):
        options = OPTIONS.model_copy(update={"ewc": ewc, "epochs": 2})
        done = finetune(
            noises, small_whisper, tmp_path / name, options, remember=noises if ewc else None, progress=False
        )
        after = load_file(done.folder / "model.safetensors")
        ways[name] = sum(float((importance[key] * (after[key] - before[key]) ** 2).sum()) for key in importance)
    assert ways["held"] < 0.5 * ways["free"]


@pytest.mark.parametrize("given", ["ewc", "remember"])
def test_one_without_the_other_is_refused(noises: CutSet, small_whisper: Path, tmp_path: Path, given: str) -> None:
    options = OPTIONS.model_copy(update={"ewc": EwcOptions() if given == "ewc" else None})
    with pytest.raises(ConfigError, match="ewc"):
        finetune(
            noises, small_whisper, tmp_path / "m", options, remember=noises if given == "remember" else None,
            progress=False,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_an_unknown_module_is_named(noises: CutSet, small_whisper: Path) -> None:
    with pytest.raises(ConfigError, match=r"ewc\.modules.*encodr.*encoder"):
        anchored(load_recogniser(small_whisper), noises, modules=("encodr",))
