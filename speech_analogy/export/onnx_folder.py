"""ONNX in three graphs, called and named as Optimum has them, with what its consumers read beside them.

Optimum's own exporter needs transformers 4; the graphs here are traced by `torch.onnx`, from any version.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration

from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.model_folder import copy_companions, copy_record
from speech_analogy.recognisers.hugging_face import loading, whole_model
from speech_analogy.recognisers.whisper.model import CACHE

ENCODER, FIRST_STEP, NEXT_STEP = "encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"
OPSET = 17
TRACED_FRAMES, TRACED_TOKENS = 3000, 3  # of the examples; the numbers of rows and of tokens are free in the graphs
KEPT = ("key", "value")
Axes = dict[str, dict[int, str]]


def write(model: Path, out: Path) -> None:
    """Trace encoder, first step and every further step of the decoder, in float32, for 30 s windows.

    `encoder_model.onnx`: input_features (batch, mels, 3000) -> last_hidden_state (batch, 1500, width).
    `decoder_model.onnx`: input_ids (batch, tokens) int64, encoder_hidden_states -> logits (batch, tokens, vocabulary)
    and, of each layer, `present.N.decoder.key`, `.value`, `present.N.encoder.key`, `.value` (batch, heads, positions,
    width of a head). `decoder_with_past_model.onnx`: input_ids (batch, 1) and all of these as `past_key_values.N...`
    -> logits and the decoder's own, longer by one.

    Raises:
        CheckpointError: the model cannot be loaded.
    """
    with loading(model, "a Whisper model"):
        loaded: Any = whole_model(
            WhisperForConditionalGeneration, model, dtype=torch.float32, attn_implementation="eager"
        )
    loaded.eval()
    config, layers = loaded.config, loaded.config.decoder_layers
    features = torch.zeros(2, config.num_mel_bins, TRACED_FRAMES)
    tokens = torch.full((2, TRACED_TOKENS), config.decoder_start_token_id, dtype=torch.int64)
    encoded = torch.zeros(2, config.max_source_positions, config.d_model)
    own = [f"{layer}.decoder.{part}" for layer in range(layers) for part in KEPT]
    both = [f"{layer}.{side}.{part}" for layer in range(layers) for side in ("decoder", "encoder") for part in KEPT]
    first, batch = _FirstStep(loaded).eval(), {0: "batch_size"}
    with torch.inference_mode():
        past = first(tokens, encoded)[1:]
    _trace(_Encoder(loaded), (features,), out / ENCODER, {"input_features": batch}, {"last_hidden_state": batch})
    _trace(
        first,
        (tokens, encoded),
        out / FIRST_STEP,
        {"input_ids": {**batch, 1: "tokens"}, "encoder_hidden_states": batch},
        {"logits": {**batch, 1: "tokens"}, **_cache_axes("present", both)},
    )
    _trace(
        _NextStep(loaded),
        (tokens[:, :1], *past),
        out / NEXT_STEP,
        {"input_ids": batch, **_cache_axes("past_key_values", both)},
        {"logits": batch, **_cache_axes("present", own)},
    )
    copy_companions(model, out)
    copy_record(model, out)


def _cache_axes(prefix: str, names: Sequence[str]) -> Axes:
    """Which axes are free: the decoder's positions are, the encoder's are always those of 30 s."""
    own = {0: "batch_size", 2: "positions"}
    return {f"{prefix}.{name}": own if ".decoder." in name else {0: "batch_size"} for name in names}


def _trace(module: nn.Module, example: tuple[Tensor, ...], out: Path, inputs: Axes, outputs: Axes) -> None:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # what a trace holds constant is constant: layers, heads, windows
        torch.onnx.export(
            module.eval(),
            example,
            str(out),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={**inputs, **outputs},
        )


class _Encoder(nn.Module):
    """Features to what the decoder attends to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.model.encoder

    def forward(self, input_features: Tensor) -> Tensor:
        found: Tensor = self.encoder(input_features).last_hidden_state
        return found


class _FirstStep(nn.Module):
    """The prompt: logits, and keys and values of both attentions."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, encoder_hidden_states: Tensor) -> tuple[Tensor, ...]:
        kept = EncoderDecoderCache(DynamicCache(), DynamicCache())
        logits = _logits(self.model, input_ids, encoder_hidden_states, kept)
        sides: tuple[Any, Any] = (kept.self_attention_cache, kept.cross_attention_cache)
        layers = range(self.model.config.decoder_layers)
        return logits, *(
            part for at in layers for side in sides for part in (side.layers[at].keys, side.layers[at].values)
        )


class _NextStep(nn.Module):
    """One more token, given the keys and values so far."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        own: Any = DynamicCache()
        cross = DynamicCache()
        for layer in range(self.model.config.decoder_layers):
            own_key, own_value, cross_key, cross_value = past[4 * layer : 4 * layer + 4]
            own.update(own_key, own_value, layer)
            cross.update(cross_key, cross_value, layer)
        nothing = torch.zeros(1)  # the keys and values of the encoder's states are given
        logits = _logits(self.model, input_ids, nothing, EncoderDecoderCache(own, cross))
        return logits, *(part for layer in own.layers for part in (layer.keys, layer.values))


def _logits(model: Any, input_ids: Tensor, encoded: Tensor, kept: EncoderDecoderCache) -> Tensor:
    found = model.model.decoder(input_ids=input_ids, encoder_hidden_states=encoded, use_cache=True, **{CACHE: kept})
    logits: Tensor = model.proj_out(found.last_hidden_state)
    return logits


USE = (
    f"`{ENCODER}`, `{FIRST_STEP}` and `{NEXT_STEP}` for onnxruntime, called and named as Optimum has them.\n\n"
    "```python\nfrom speech_analogy.export.onnx_greedy import GreedyOnnx\n\n"
    'text = GreedyOnnx(Path("path/to/this/folder"))(samples)  # float32, mono, 16 kHz, at most 30 s\n```'
)
EXPORTER = Exporter(write, families=("whisper",), use=USE, library="onnx")
