"""OpenAI's `.pt`: the dimensions and the tensors under the names that `whisper.load_model` expects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import WhisperConfig

from speech_analogy.errors import CheckpointError
from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.checkpoints import open_checkpoint

# Hugging Face's part of a name -> OpenAI's, to be applied in this order. Source: openai/whisper, whisper/model.py.
TO_OPENAI = [
    (r"^model\.", ""),
    (r"^encoder\.layer_norm\.", "encoder.ln_post."),
    (r"^decoder\.layer_norm\.", "decoder.ln."),
    (r"\.layers\.", ".blocks."),
    (r"\.self_attn_layer_norm\.", ".attn_ln."),
    (r"\.encoder_attn_layer_norm\.", ".cross_attn_ln."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.self_attn\.", ".attn."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
    (r"\.final_layer_norm\.", ".mlp_ln."),
    (r"\.fc1\.", ".mlp.0."),
    (r"\.fc2\.", ".mlp.2."),
    (r"\.embed_tokens\.", ".token_embedding."),
    (r"\.embed_positions\.weight$", ".positional_embedding"),
]
TIED = "proj_out.weight"  # the decoder's embeddings again; OpenAI's model has no tensor of its own for it

FEED_FORWARD = 4  # times the model's width: what OpenAI's code builds, whatever the file says


def write(model: Path, out: Path) -> None:
    """Rename; values and dtypes stay as they are.

    Raises:
        CheckpointError: the model has feed-forward layers of a width that the format has no field for.
    """
    config = WhisperConfig.from_pretrained(model)
    require_feed_forward(config, model)
    checkpoint = open_checkpoint(model)
    state = {openai_name(name): checkpoint[name].clone() for name in checkpoint if name != TIED}
    torch.save({"dims": dimensions(config), "model_state_dict": state}, out)


def require_feed_forward(config: WhisperConfig, model: Path) -> None:
    """Refuse feed-forward layers of a width that OpenAI's code and those after it have no field for.

    Raises:
        CheckpointError: naming the field of `config.json`.
    """
    for field in ("encoder_ffn_dim", "decoder_ffn_dim"):
        if (width := getattr(config, field)) != FEED_FORWARD * config.d_model:
            rule = f"must be {FEED_FORWARD} times d_model, as whisper.load_model assumes"
            raise CheckpointError(rule, file=model / "config.json", field=field, value=width)


def openai_name(name: str) -> str:
    """`model.encoder.layers.0.fc1.bias` -> `encoder.blocks.0.mlp.0.bias`."""
    for pattern, replacement in TO_OPENAI:
        name = re.sub(pattern, replacement, name)
    return name


def dimensions(config: WhisperConfig) -> dict[str, Any]:
    """`whisper.model.ModelDimensions` of a configuration."""
    return {
        "n_mels": config.num_mel_bins,
        "n_audio_ctx": config.max_source_positions,
        "n_audio_state": config.d_model,
        "n_audio_head": config.encoder_attention_heads,
        "n_audio_layer": config.encoder_layers,
        "n_vocab": config.vocab_size,
        "n_text_ctx": config.max_target_positions,
        "n_text_state": config.d_model,
        "n_text_head": config.decoder_attention_heads,
        "n_text_layer": config.decoder_layers,
    }


EXPORTER = Exporter(write, makes_folder=False, families=("whisper",))
