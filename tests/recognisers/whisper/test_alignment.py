"""Heads that follow the speech, against openai-whisper's own models."""

from __future__ import annotations

from typing import Any

import pytest
import whisper

from speech_analogy.recognisers.whisper.alignment import alignment_heads, published_name


def config(layers: int, width: int, vocabulary: int, decoder_layers: int | None = None) -> dict[str, Any]:
    return {
        "encoder_layers": layers, "decoder_layers": decoder_layers or layers, "d_model": width,
        "vocab_size": vocabulary, "decoder_attention_heads": width // 64,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "base"),
    [
        ("tiny.en", config(4, 384, 51864), ""),
        ("tiny", config(4, 384, 51865), ""),
        ("base.en", config(6, 512, 51864), ""),
        ("base", config(6, 512, 51865), ""),
        ("small.en", config(12, 768, 51864), ""),
        ("small", config(12, 768, 51865), ""),
        ("medium.en", config(24, 1024, 51864), ""),
        ("medium", config(24, 1024, 51865), ""),
        ("large-v1", config(32, 1280, 51865), "large-v1.pt"),
        ("large-v2", config(32, 1280, 51865), "openai/whisper-large-v2"),
        ("large-v3", config(32, 1280, 51866), ""),
        ("large-v3-turbo", config(32, 1280, 51866, 4), ""),
    ],
)
def test_a_published_size_has_its_published_heads(name: str, given: dict[str, Any], base: str) -> None:
    assert published_name(given, base) == name
    heads = alignment_heads(given, base)
    assert all(layer < given["decoder_layers"] and head < given["d_model"] // 64 for layer, head in heads)
    assert heads == sorted(heads)
    assert heads != alignment_heads({**given, "d_model": 128}, base)  # the default for other sizes


def test_the_heads_of_two_models_as_hugging_face_publishes_them() -> None:
    # generation_config.json of openai/whisper-tiny.en and openai/whisper-base
    tiny_en = [[1, 0], [2, 0], [2, 5], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]]
    base = [[3, 1], [4, 2], [4, 3], [4, 7], [5, 1], [5, 2], [5, 4], [5, 6]]
    assert alignment_heads(config(4, 384, 51864)) == tiny_en
    assert alignment_heads(config(6, 512, 51865)) == base


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_other_sizes_have_what_openai_whisper_takes(layers: int) -> None:
    theirs = whisper.model.Whisper(
        whisper.model.ModelDimensions(80, 20, 128, 2, layers, 51864, 20, 128, 2, layers)
    )  # fmt: skip
    own = config(layers, 128, 51864)
    assert published_name(own) is None
    assert alignment_heads(own) == theirs.alignment_heads.indices().T.tolist()


def test_a_distilled_model_is_no_published_one() -> None:
    assert published_name(config(12, 768, 51864, decoder_layers=4)) is None
