"""Turn bare Whisper tensors into a complete Hugging Face folder, tokenizer and generation config included.

What is not in the tensors is taken from the package openai-whisper: vocabulary, special tokens, suppressed tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import whisper
from safetensors.torch import save_file
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperTokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter
from whisper.tokenizer import LANGUAGES, get_tokenizer

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import fill_once, write_json
from speech_analogy.recognisers.whisper.alignment import ENGLISH_VOCABULARY
from speech_analogy.recognisers.whisper.completing import complete_folder

HEAD_WIDTH = 64  # the width of an attention head in every published Whisper
TIMESTAMP_STEP_S, TIMESTAMPS = 0.02, 1501
SPACE_TOKEN = " "


@dataclass(frozen=True)
class Dimensions:
    """The sizes in which Whispers differ; all of them can be read off its tensors."""

    mels: int
    width: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int
    audio_positions: int
    text_positions: int
    feed_forward: int

    @property
    def multilingual(self) -> bool:
        return self.vocabulary > ENGLISH_VOCABULARY

    @property
    def languages(self) -> int:
        """99 up to large-v2, 100 since large-v3 (Cantonese); an English model has the 99 tokens, unused."""
        return self.vocabulary - ENGLISH_VOCABULARY + 98 if self.multilingual else 99

    @classmethod
    def of(cls, tensors: dict[str, torch.Tensor], file: Path) -> Dimensions:
        """Read the sizes off the tensors; CheckpointError names the first tensor that is missing."""
        try:
            width, mels, _ = tensors["model.encoder.conv1.weight"].shape
            return cls(
                mels=mels,
                width=width,
                encoder_layers=_layers(tensors, "model.encoder.layers."),
                decoder_layers=_layers(tensors, "model.decoder.layers."),
                vocabulary=tensors["model.decoder.embed_tokens.weight"].shape[0],
                audio_positions=tensors["model.encoder.embed_positions.weight"].shape[0],
                text_positions=tensors["model.decoder.embed_positions.weight"].shape[0],
                feed_forward=tensors["model.encoder.layers.0.fc1.weight"].shape[0],
            )
        except KeyError as missing:
            raise CheckpointError(
                "is not a Whisper model: a tensor is missing", file=file, field=str(missing)
            ) from None


def _layers(tensors: dict[str, torch.Tensor], prefix: str) -> int:
    return 1 + max(int(name.removeprefix(prefix).split(".")[0]) for name in tensors if name.startswith(prefix))


def write_folder(tensors: dict[str, torch.Tensor], out: Path, source: dict[str, Any], file: Path) -> Path:
    """Write `out`, complete or not at all.

    Args:
        tensors: `WhisperForConditionalGeneration` names -> fp32, without `proj_out.weight` (tied).
        out: the folder to make; one that is there already is left as it is.
        source: where the weights come from; written as `provenance.json`.
        file: the file they were read from, for errors.
    """

    def fill(folder: Path) -> None:
        size = Dimensions.of(tensors, file)
        tokenizer = whisper_tokenizer(size)
        config, generation = _configs(size)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(folder)
        generation.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        WhisperFeatureExtractor(feature_size=size.mels).save_pretrained(folder)
        write_json(folder / "provenance.json", source)
        complete_folder(folder)

    return fill_once(out, fill, CheckpointError)


def whisper_tokenizer(size: Dimensions) -> WhisperTokenizer:
    """Whisper's tokenizer in Hugging Face's form, made from openai-whisper's vocabulary."""
    name = "multilingual" if size.multilingual else "gpt2"
    assets = Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken"
    vocabulary, merges = TikTokenConverter().extract_vocab_merges_from_model(str(assets))
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=merges, pad_token="<|endoftext|>")
    languages = [f"<|{language}|>" for language in list(LANGUAGES)[: size.languages]]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    specials = ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in tasks)]
    tokenizer.add_special_tokens({"additional_special_tokens": specials})
    tokenizer.add_tokens([f"<|{index * TIMESTAMP_STEP_S:.2f}|>" for index in range(TIMESTAMPS)])
    if len(tokenizer) != size.vocabulary:
        raise CheckpointError(
            "no published Whisper vocabulary has this size", field="embed_tokens", value=size.vocabulary
        )
    tokenizer.set_prefix_tokens()  # its template was made before the tokens that it begins with were there
    return tokenizer


def _configs(size: Dimensions) -> tuple[WhisperConfig, GenerationConfig]:
    reference = get_tokenizer(size.multilingual, num_languages=size.languages, language="en", task="transcribe")
    control = [
        reference.transcribe,
        reference.translate,
        reference.sot,
        reference.sot_prev,
        reference.sot_lm,
        reference.no_speech,
    ]
    ids: dict[str, Any] = {
        "bos_token_id": reference.eot,
        "eos_token_id": reference.eot,
        "pad_token_id": reference.eot,
        "decoder_start_token_id": reference.sot,
    }
    config = WhisperConfig(
        vocab_size=size.vocabulary,
        num_mel_bins=size.mels,
        d_model=size.width,
        encoder_layers=size.encoder_layers,
        decoder_layers=size.decoder_layers,
        encoder_attention_heads=size.width // HEAD_WIDTH,
        decoder_attention_heads=size.width // HEAD_WIDTH,
        encoder_ffn_dim=size.feed_forward,
        decoder_ffn_dim=size.feed_forward,
        max_source_positions=size.audio_positions,
        max_target_positions=size.text_positions,
        architectures=["WhisperForConditionalGeneration"],
        tie_word_embeddings=True,
        **ids,
    )
    generation: dict[str, Any] = {
        "max_length": size.text_positions,
        "is_multilingual": size.multilingual,
        "no_timestamps_token_id": reference.no_timestamps,
        "suppress_tokens": sorted({*reference.non_speech_tokens, *control}),
        "begin_suppress_tokens": [*reference.encode(SPACE_TOKEN), reference.eot],
        "return_timestamps": False,
    }
    if size.multilingual:
        tokens = zip(reference.all_language_codes, reference.all_language_tokens, strict=True)
        generation["lang_to_id"] = {f"<|{code}|>": token for code, token in tokens}
        generation["task_to_id"] = {"transcribe": reference.transcribe, "translate": reference.translate}
        generation["task"] = "transcribe"
    return config, GenerationConfig(**ids, **generation)
