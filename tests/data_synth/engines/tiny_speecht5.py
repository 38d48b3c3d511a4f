"""A SpeechT5 and a HiFi-GAN of the real classes with random weights, small, saved as folders; and x-vectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from transformers import (
    SpeechT5Config,
    SpeechT5ForTextToSpeech,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    SpeechT5Tokenizer,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMForXVector,
)

MAX_TEXT = 150
SENTENCES = [
    "turn it on, please",
    "play some jazz!",
    "the quick brown fox jumps over the lazy dog",
    "VEXING? 'zebra' A B C",
]


@dataclass(frozen=True)
class TinySpeechT5:
    """Where the parts lie."""

    model: Path
    vocoder: Path
    x_vectors: Path


def save_tiny_speecht5(folder: Path, *, dropout: float = 0.5) -> TinySpeechT5:
    """Write the parts. The end of a clip comes by chance, most often within the limit."""
    tiny = TinySpeechT5(folder / "model", folder / "vocoder", folder / "x-vectors")
    torch.manual_seed(0)
    config = SpeechT5Config(
        vocab_size=81,
        hidden_size=32,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        speech_decoder_prenet_units=16,
        speech_decoder_prenet_dropout=dropout,
        speech_decoder_postnet_units=16,
        max_text_positions=MAX_TEXT,
        conv_dim=(8,),
        conv_stride=(5,),
        conv_kernel=(10,),
        initializer_range=0.3,
    )
    model = SpeechT5ForTextToSpeech(config)
    with torch.no_grad():
        model.speech_decoder_postnet.prob_out.bias.fill_(-2.5)
        model.speech_decoder_postnet.prob_out.weight.mul_(1.5)
    model.save_pretrained(tiny.model)
    _save_tokenizer(tiny.model)
    SpeechT5HifiGan(SpeechT5HifiGanConfig(upsample_initial_channel=16, initializer_range=0.1)).save_pretrained(
        tiny.vocoder
    )
    tiny.x_vectors.mkdir()
    dice = np.random.default_rng(0)
    for name in ("bdl", "clb", "slt"):
        np.save(tiny.x_vectors / f"{name}.npy", dice.standard_normal(512).astype(np.float32))
    (tiny.x_vectors / "more.json").write_text(json.dumps({"awb": dice.standard_normal(512).tolist()}))
    return tiny


def _save_tokenizer(folder: Path) -> None:
    prefix = folder / "spm_char"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_prefix=str(prefix),
        model_type="char",
        vocab_size=60,
        hard_vocab_limit=False,
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    SpeechT5Tokenizer(str(prefix.with_suffix(".model"))).save_pretrained(folder)


def save_tiny_x_vector_model(folder: Path) -> Path:
    """A WavLM with an x-vector head of the real class with random weights, and its feature extractor."""
    torch.manual_seed(1)
    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        tdnn_dim=(16,) * 5,
        xvector_output_dim=512,
        num_labels=4,
    )
    WavLMForXVector(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=16_000).save_pretrained(folder)
    return folder
