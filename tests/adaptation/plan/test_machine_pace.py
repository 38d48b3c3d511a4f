"""The machine is measured once and remembered; estimates grow with it, and never state a size that is not known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.adaptation.plan.estimate import TINY_BYTES, cost_of, rates, wall_clock_of, weights_bytes
from speech_analogy.adaptation.plan.machine_pace import REFERENCE, MachinePace, machine_pace
from speech_analogy.foundation.machine import visible_gpus
from speech_analogy.recognisers.sizes import parameters_of
from tests.adaptation.building import ModelFreeParams, some_stage

SLOW = MachinePace(training=2.0, decoding=1.5)


def test_stages_take_as_much_longer_as_the_machine_is_slower() -> None:
    spoken, trained = some_stage("s", 10.0, params=ModelFreeParams), some_stage("finetune-x", 100.0)
    decoded = 1.5 if trained.kind not in ("finetune", "trial") else 2.0
    assert cost_of([spoken, trained], pace=SLOW) == 15.0 + 100.0 * decoded
    assert cost_of([spoken, trained], 3 * TINY_BYTES, SLOW) == 15.0 + 300.0 * decoded
    assert cost_of([spoken, trained], pace=REFERENCE) == cost_of([spoken, trained])
    assert wall_clock_of([spoken, trained], 2, pace=SLOW) == 100.0 * decoded


def test_words_never_state_a_size_that_nobody_knows() -> None:
    assert "times" not in rates(0)
    assert "is not known here" in rates(0, SLOW)
    assert "not known" not in rates(2 * TINY_BYTES, SLOW)
    assert "times 1.0 to 3.0 for this base's size" in rates([3 * TINY_BYTES, TINY_BYTES], SLOW)
    assert "is not known here" in rates([TINY_BYTES, 0], SLOW)
    assert "times 2.0 for this base's size, times 2.0 (training) and 1.5 for this machine" in rates(
        2 * TINY_BYTES, SLOW
    )


def test_sizes_are_known_of_files_and_of_published_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert parameters_of("openai/whisper-small.en") == 241_734_912
    assert parameters_of("somebody/whisper-unknown") is None
    assert weights_bytes("somebody/whisper-unknown") == 0
    assert weights_bytes("pip:whisper-tiny.en") == pytest.approx(TINY_BYTES, rel=0.01)


@pytest.mark.slow
def test_published_sizes_are_those_of_their_configs() -> None:
    """transformers' own model of each size, built without memory."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    shapes = {"tiny": (384, 4, 4, 80), "small": (768, 12, 12, 80), "large-v3-turbo": (1280, 32, 4, 128)}
    for name, (width, encoder, decoder, bins) in shapes.items():
        config = WhisperConfig(
            vocab_size=51866 if bins == 128 else 51865, num_mel_bins=bins, d_model=width, encoder_layers=encoder,
            decoder_layers=decoder, encoder_attention_heads=1, decoder_attention_heads=1,
            encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
        )  # fmt: skip
        with torch.device("meta"):
            assert WhisperForConditionalGeneration(config).num_parameters() == parameters_of(f"openai/whisper-{name}")


def test_this_machine_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if visible_gpus():
        pytest.skip("GPUs do the work here")
    import torch

    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    threads = torch.get_num_threads()
    found = machine_pace()
    assert found.measured
    assert 0.05 < found.training < 50
    assert 0.05 < found.decoding < 50
    assert torch.get_num_threads() == threads
    [file] = tmp_path.glob("pace-*.json")
    file.write_text(json.dumps({"training": 3.0, "decoding": 4.0, "measured": True}))
    assert machine_pace() == MachinePace(3.0, 4.0)
    file.write_text("{")  # damaged: measured again
    assert machine_pace() != MachinePace(3.0, 4.0)
