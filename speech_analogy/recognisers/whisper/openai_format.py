"""Read an OpenAI Whisper `.pt` and give back Hugging Face's tensors."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.pickles import read_pickled

# OpenAI's part of a name -> Hugging Face's. Source: openai/whisper, whisper/model.py.
RENAMES = [
    (r"^(encoder|decoder)\.", r"model.\1."),
    (r"\.blocks\.", ".layers."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.attn\.", ".self_attn."),
    (r"\.query\.", ".q_proj."),
    (r"\.key\.", ".k_proj."),
    (r"\.value\.", ".v_proj."),
    (r"(_attn)\.out\.", r"\1.out_proj."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.ln_post\.|\.ln\.", ".layer_norm."),
    (r"\.token_embedding\.", ".embed_tokens."),
    (r"\.positional_embedding$", ".embed_positions.weight"),
]


def read_openai(file: Path) -> dict[str, torch.Tensor]:
    """`WhisperForConditionalGeneration` tensors, fp32, of an OpenAI checkpoint.

    Raises:
        CheckpointError: not a checkpoint, one with code in it, or not Whisper's.
    """
    try:
        state = read_pickled(file)
    except CheckpointError as error:
        raise CheckpointError(
            f"is not a PyTorch file that holds tensors alone: {error.rule}",
            file=file,
            field=error.field,
            value=error.value,
            do="use a file published by OpenAI, or a safetensors folder",
        ) from None
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        tensors[name] = tensor.to(torch.float32)
    return dict(sorted(tensors.items()))
