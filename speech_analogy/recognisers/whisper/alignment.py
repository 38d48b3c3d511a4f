"""Which attention heads follow the speech: what word times are read off.

Source: openai-whisper, `whisper/__init__.py` (`_ALIGNMENT_HEADS`, for each published model) and `whisper/model.py`
(for any other model all heads in the last half of the decoder's layers).
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np

ENGLISH_VOCABULARY, V3_VOCABULARY = 51864, 51866
SIZES = {(4, 384): "tiny", (6, 512): "base", (12, 768): "small", (24, 1024): "medium", (32, 1280): "large"}
"""(encoder layers, width) -> size."""
TURBO_LAYERS = 4  # of large-v3-turbo's decoder


def alignment_heads(config: Mapping[str, Any], base: str = "") -> list[list[int]]:
    """[layer, head] of each head that follows the speech, as `generation_config.json` has them.

    Args:
        config: of the model, as `config.json` has it.
        base: what the weights come from; large-v1 and large-v2 differ in nothing else.
    """
    layers, heads = int(config["decoder_layers"]), int(config["decoder_attention_heads"])
    found = np.zeros((layers, heads), dtype=bool)
    found[layers // 2 :] = True
    import whisper

    packed = getattr(whisper, "_ALIGNMENT_HEADS", {}).get(published_name(config, base))
    if packed is not None:
        official = np.frombuffer(gzip.decompress(base64.b85decode(packed)), dtype=bool)
        found = official.reshape(layers, heads) if official.size == found.size else found
    return [[int(layer), int(head)] for layer, head in np.argwhere(found)]


def published_name(config: Mapping[str, Any], base: str = "") -> str | None:
    """What openai-whisper calls the published model of this size; None where there is none."""
    size = SIZES.get((int(config["encoder_layers"]), int(config["d_model"])))
    vocabulary, layers = int(config["vocab_size"]), int(config["decoder_layers"])
    if size != "large":
        same_depth = layers == int(config["encoder_layers"])
        return (size and same_depth and f"{size}{'.en' if vocabulary == ENGLISH_VOCABULARY else ''}") or None
    if vocabulary == V3_VOCABULARY:
        return "large-v3-turbo" if layers == TURBO_LAYERS else "large-v3"
    return "large-v1" if "large-v1" in base else "large-v2"
