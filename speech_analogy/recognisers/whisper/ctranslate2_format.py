"""Read a CTranslate2 Whisper `model.bin` and give back Hugging Face's tensors, exactly.

The layout is little-endian: u32 version; string spec; u32 revision; u32 number of variables; for each: string name,
u8 rank, u32 x rank dims, u8 dtype, u32 bytes, data; then u32 number of aliases and pairs of strings. A string is
u16 length (with the final NUL) + bytes. Source: CTranslate2, python/ctranslate2/specs/model_spec.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from speech_analogy.errors import CheckpointError

SUPPORTED_VERSION = 6
_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")


class _Reader:
    """A cursor over the file's bytes that refuses to run past their end."""

    def __init__(self, data: memoryview, file: Path) -> None:
        self._data, self._file, self._at = data, file, 0

    def take(self, count: int) -> memoryview:
        end = self._at + count
        if end > len(self._data):
            raise CheckpointError(
                f"the file ends {end - len(self._data)} bytes too early",
                file=self._file,
                value=f"{len(self._data)} bytes",
                do="install its package again",
            )
        piece, self._at = self._data[self._at : end], end
        return piece

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0])

    def string(self) -> str:
        return bytes(self.take(self.number("H"))[:-1]).decode("utf-8")

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def read_variables(data: memoryview, file: Path) -> dict[str, np.ndarray]:
    """All variables of a `model.bin`, by name, in the dtype they are stored in.

    Args:
        data: the file's bytes; the arrays are views into them.
        file: its path, for errors.

    Raises:
        CheckpointError: another version or model family, an unknown dtype, sizes that do not fit.
    """
    reader = _Reader(data, file)
    version, spec = reader.number("I"), ""
    if version == SUPPORTED_VERSION:
        spec = reader.string()
    if spec != "WhisperSpec":
        raise CheckpointError(
            f"must be a CTranslate2 Whisper model of format {SUPPORTED_VERSION}",
            file=file,
            value=f"format {version}, {spec or 'unknown model'}",
            do="convert it again with a current CTranslate2",
        )
    reader.number("I")  # the spec's revision
    variables: dict[str, np.ndarray] = {}
    for _ in range(reader.number("I")):
        name = reader.string()
        shape = tuple(reader.number("I") for _ in range(reader.number("B")))
        kind, size = reader.number("B"), reader.number("I")
        if kind not in _DTYPES:
            raise CheckpointError("has an unknown dtype", file=file, field=name, value=kind)
        array = np.frombuffer(reader.take(size), dtype=_DTYPES[kind])
        if array.size != int(np.prod(shape, dtype=np.int64)):
            raise CheckpointError("shape and size disagree", file=file, field=name, value=f"{shape} in {size} bytes")
        variables[name] = array.reshape(shape)
    for _ in range(reader.number("I")):
        alias, target = reader.string(), reader.string()
        variables[alias] = variables[target]
    if reader.left:
        raise CheckpointError("has bytes after its end", file=file, value=f"{reader.left} bytes")
    return variables


def to_hugging_face(variables: dict[str, np.ndarray], file: Path) -> dict[str, torch.Tensor]:
    """Rename and unfuse: CTranslate2 variables -> `WhisperForConditionalGeneration` tensors in fp32.

    fp16 -> fp32 is exact, and official tiny and base weights were published in fp16. `proj_out.weight` is tied to
    `embed_tokens` and left out, as Hugging Face saves it. Integer (quantised) weights are refused: they are not exact.
    """
    tensors = dict(_renamed(variables, file))
    for name, array in tensors.items():
        if array.dtype not in (np.float16, np.float32):
            raise CheckpointError(
                "must be float16 or float32 to be imported exactly", file=file, field=name, value=array.dtype
            )
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in sorted(tensors.items())}


def _renamed(variables: dict[str, np.ndarray], file: Path) -> Iterator[tuple[str, np.ndarray]]:
    for name, array in variables.items():
        parts = name.split("/")
        if array.ndim == 0 or parts[-1].startswith("alignment") or parts[1] == "projection":
            continue  # scalars are architecture flags; the projection is tied to the embeddings
        side, leaf = f"model.{parts[0]}", parts[-1]
        if parts[1] == "embeddings":
            yield f"{side}.embed_tokens.{leaf}", array
        elif parts[1] == "position_encodings":
            yield f"{side}.embed_positions.weight", array
        elif parts[1] in ("conv1", "conv2"):
            yield f"{side}.{parts[1]}.{leaf}", array
        elif parts[1] == "layer_norm":
            yield f"{side}.layer_norm.{_norm_leaf(leaf)}", array
        elif parts[1].startswith("layer_"):
            layer = f"{side}.layers.{parts[1].removeprefix('layer_')}"
            yield from _layer(layer, parts[2:], array, file)
        else:
            raise CheckpointError("has a variable that Whisper does not have", file=file, field=name)


def _norm_leaf(leaf: str) -> str:
    return {"gamma": "weight", "beta": "bias"}[leaf]


def _layer(layer: str, parts: list[str], array: np.ndarray, file: Path) -> Iterator[tuple[str, np.ndarray]]:
    block, inner, leaf = parts
    if block == "ffn":
        if inner == "layer_norm":
            yield f"{layer}.final_layer_norm.{_norm_leaf(leaf)}", array
        else:
            yield f"{layer}.fc{int(inner.removeprefix('linear_')) + 1}.{leaf}", array
        return
    attention = {"self_attention": "self_attn", "attention": "encoder_attn"}.get(block)
    if attention is None:
        raise CheckpointError("has a block that Whisper does not have", file=file, field=block)
    if inner == "layer_norm":
        yield f"{layer}.{attention}_layer_norm.{_norm_leaf(leaf)}", array
        return
    # Fused projections: self-attention [q k v][out], cross-attention [q][k v][out].
    fused = {
        "self_attn": [_PROJECTIONS, ("out_proj",)],
        "encoder_attn": [_PROJECTIONS[:1], _PROJECTIONS[1:], ("out_proj",)],
    }[attention][int(inner.removeprefix("linear_"))]
    for projection, piece in zip(fused, np.split(array, len(fused)), strict=True):
        if projection == "k_proj" and leaf == "bias":
            if np.any(piece):
                raise CheckpointError("Whisper's keys have no bias", file=file, field=f"{layer}.{attention}")
            continue
        yield f"{layer}.{attention}.{projection}.{leaf}", piece
