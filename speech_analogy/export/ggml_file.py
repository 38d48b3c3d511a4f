"""ggml's format, as whisper.cpp opens it: what its own converter (models/convert-pt-to-ggml.py) writes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import whisper
from transformers import WhisperConfig

from speech_analogy.errors import CheckpointError
from speech_analogy.export.exporter import Exporter
from speech_analogy.export.openai_file import TIED, dimensions, openai_name, require_feed_forward
from speech_analogy.merging.io.checkpoints import open_checkpoint

MAGIC = 0x67676D6C  # "ggml"
HEADER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels",
)  # fmt: skip
FLOAT32, FLOAT16 = 0, 1  # of a tensor, and of the file
ENGLISH_VOCABULARY = 51864
VOCABULARIES = (ENGLISH_VOCABULARY, 51865, 51866)  # whisper.cpp finds the special tokens by the number of all
COLUMNS = ("encoder.conv1.bias", "encoder.conv2.bias")  # (channels, 1) there
STAY_FLOAT32 = (*COLUMNS, "encoder.positional_embedding", "decoder.positional_embedding")
ASSETS = Path(whisper.__file__).parent / "assets"  # mel filters and vocabularies, as the converter takes them


def write(model: Path, out: Path) -> None:
    """Write the model file, matrices rounded to float16, the rest in float32.

    That is what the converter does unless told otherwise, and what whisper.cpp needs: with float32 its convolutions
    end the process (1.8.5). Smaller types are made of this file by its own `whisper-quantize`.

    Raises:
        CheckpointError: whisper.cpp has no place for a vocabulary or for feed-forward layers of such a size, or a
            weight is too large for float16.
    """
    config = WhisperConfig.from_pretrained(model)
    require_feed_forward(config, model)
    if config.vocab_size not in VOCABULARIES:
        rule = f"must be one of {', '.join(map(str, VOCABULARIES))}, by which whisper.cpp knows the special tokens"
        raise CheckpointError(rule, file=model / "config.json", field="vocab_size", value=config.vocab_size)
    sizes = dimensions(config)
    with out.open("wb") as file:
        file.write(struct.pack("<12i", MAGIC, *(sizes[name] for name in HEADER), FLOAT16))
        _write_filters(file, sizes["n_mels"])
        _write_vocabulary(file, "gpt2" if config.vocab_size == ENGLISH_VOCABULARY else "multilingual")
        for name, values in _tensors(model):
            _write_tensor(file, name, values)


def _tensors(model: Path) -> Iterator[tuple[str, np.ndarray]]:
    checkpoint = open_checkpoint(model)
    for name in checkpoint:
        if name != TIED:
            yield openai_name(name), checkpoint[name].to(torch.float32).numpy()


def _write_filters(file: BinaryIO, mels: int) -> None:
    with np.load(ASSETS / "mel_filters.npz") as stored:
        filters = stored[f"mel_{mels}"].astype("<f4")  # (mels, 201)
    file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())


def _write_vocabulary(file: BinaryIO, name: str) -> None:
    """Every token's bytes by rank; special tokens are not in the file."""
    lines = (ASSETS / f"{name}.tiktoken").read_bytes().splitlines()
    tokens = [base64.b64decode(line.split()[0]) for line in lines if line]
    file.write(struct.pack("<i", len(tokens)))
    for token in tokens:
        file.write(struct.pack("<i", len(token)) + token)


def _write_tensor(file: BinaryIO, name: str, values: np.ndarray) -> None:
    values = values.squeeze()
    if name in COLUMNS:
        values = values.reshape(-1, 1)
    kind = FLOAT16 if values.ndim >= 2 and name not in STAY_FLOAT32 else FLOAT32
    if kind == FLOAT16 and not np.isfinite(values.astype("<f2")).all():
        raise CheckpointError("must fit into float16, as whisper.cpp needs it", field=name, value=np.abs(values).max())
    shape = reversed(values.shape)  # ggml counts the fastest dimension first
    encoded = name.encode()
    file.write(struct.pack(f"<{3 + values.ndim}i", values.ndim, len(encoded), kind, *shape) + encoded)
    file.write(values.astype("<f2" if kind == FLOAT16 else "<f4").tobytes())


EXPORTER = Exporter(write, makes_folder=False, families=("whisper",))
