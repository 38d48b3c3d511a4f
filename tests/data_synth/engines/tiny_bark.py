"""A BARK of the real classes with random weights and everything small but its vocabularies, saved as a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import BarkConfig, BarkModel, BarkProcessor, BertTokenizer, GenerationConfig
from transformers.models.bark import BarkCoarseConfig, BarkFineConfig, BarkSemanticConfig
from transformers.models.encodec import EncodecConfig

EOS = 10_000
MAX_SEMANTIC_TOKENS = 60
PRESET = "v2/en_speaker_6"
WORDS = ("turn", "it", "on", "play", "some", "jazz", "stop", "the", "music", "a", "please")
SMALL = {"num_layers": 1, "num_heads": 2, "hidden_size": 16}


def save_tiny_bark(folder: Path, *, preset: bool = True, seed: int = 0) -> Path:
    """Write model, tokenizer and one preset. About one semantic token in 20 is the end of the clip."""
    torch.manual_seed(seed)
    model = BarkModel(
        BarkConfig(
            semantic_config=BarkSemanticConfig(input_vocab_size=129_600, output_vocab_size=10_048, **SMALL),
            coarse_acoustics_config=BarkCoarseConfig(input_vocab_size=12_096, output_vocab_size=12_096, **SMALL),
            fine_acoustics_config=BarkFineConfig(input_vocab_size=1_056, output_vocab_size=1_056, **SMALL),
            codec_config=EncodecConfig(hidden_size=8, num_filters=4, target_bandwidths=[6.0], num_lstm_layers=1),
        )
    )
    _prefer_the_end(model)
    model.generation_config = GenerationConfig(
        semantic_config={"max_new_tokens": MAX_SEMANTIC_TOKENS, "do_sample": True, "eos_token_id": EOS, "top_k": 0},
        coarse_acoustics_config={"do_sample": True, "temperature": 0.7},
        fine_acoustics_config={"temperature": 0.5, "max_fine_input_length": 128, "max_fine_history_length": 64},
        sample_rate=24_000,
        codebook_size=1024,
    )
    model.save_pretrained(folder)
    _save_processor(folder, preset)
    return folder


def _prefer_the_end(model: BarkModel) -> None:
    """Give the end-of-speech token a logit of about 6 over a sea of zeros: p = e^6 / (e^6 + 10,000) = 4 %."""
    with torch.no_grad():
        for quantizer in model.codec_model.quantizer.layers:
            quantizer.codebook.embed.normal_()
        final = model.semantic.layernorm_final
        final.bias.fill_(1.0)
        model.semantic.lm_head.weight[EOS] = 6.0 / final.bias.numel()
        for part in (model.semantic, model.coarse_acoustics, model.fine_acoustics):
            for name, weight in part.named_parameters():
                if name.startswith("layers") and weight.dim() == 2:
                    weight.mul_(10)  # so that what was said before is heard in what comes next


def _save_processor(folder: Path, preset: bool) -> None:
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)) + "\n")
    BarkProcessor(BertTokenizer(str(folder / "vocab.txt"))).save_pretrained(folder)
    if not preset:
        return
    dice = np.random.default_rng(1)
    shapes = {"semantic": (80,), "coarse": (2, 120), "fine": (8, 120)}
    (folder / "speaker_embeddings" / "v2").mkdir(parents=True)
    paths = {}
    for part, shape in shapes.items():
        paths[f"{part}_prompt"] = f"speaker_embeddings/{PRESET}_{part}_prompt.npy"
        np.save(folder / paths[f"{part}_prompt"], dice.integers(0, 1024, shape))
    listed = {"repo_or_path": "somewhere/else", PRESET: paths}
    (folder / "speaker_embeddings_path.json").write_text(json.dumps(listed))
