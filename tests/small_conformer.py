"""A small Wav2Vec2-Conformer of the real class, random weights, with the vocabulary of the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

SIGNS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]


def make_conformer(folder: Path, *, norm: str = "layer", seed: int = 0, **changes: Any) -> Path:
    """Write a complete model folder; `norm` is `feat_extract_norm`: layer (with a mask) or group (without)."""
    torch.manual_seed(seed)
    config = Wav2Vec2ConformerConfig(
        **{
            "vocab_size": len(SIGNS),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 48,
            "conv_dim": (16,) * 7,
            "feat_extract_norm": norm,
            "conv_bias": norm == "layer",
            "position_embeddings_type": "rotary",
            "conv_depthwise_kernel_size": 31,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "mask_time_prob": 0.05,
            **changes,
        }
    )
    model = Wav2Vec2ConformerForCTC(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):  # as a pretrained model's: not 0 and 1
            module.running_mean = 0.3 * torch.randn(module.num_features)
            module.running_var = 0.5 + torch.rand(module.num_features)
    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({sign: number for number, sign in enumerate(SIGNS)}), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary), unk_token="<unk>", pad_token="<pad>", word_delimiter_token="|")
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=norm == "layer")
    model.save_pretrained(folder)
    Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder
