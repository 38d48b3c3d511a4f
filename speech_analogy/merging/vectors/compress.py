"""Smaller vectors for exchange: sparse, low-rank or quantised, with the loss written into the header."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.merging.io.header import TensorSpec
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions
from speech_analogy.merging.methods.geometry import inner
from speech_analogy.merging.methods.randomness import generator
from speech_analogy.merging.methods.selection import kept, largest_magnitudes, source_stream
from speech_analogy.merging.methods.sparsify import dare, magnitude
from speech_analogy.merging.tensors import one_torch_thread
from speech_analogy.merging.vectors.encodings import (
    ENCODING_KEY,
    Coded,
    Values,
    decode,
    encode_dense,
    encode_low_rank,
    encode_sparse,
    part_name,
)
from speech_analogy.merging.vectors.file import write_coded_vector
from speech_analogy.merging.vectors.task_vector import TaskVector

CompressionMethod = Literal["fp32", "fp16", "int8", "int4", "sign", "topk", "dare", "low-rank"]
COMPRESSIONS: tuple[CompressionMethod, ...] = ("fp32", "fp16", "int8", "int4", "sign", "topk", "dare", "low-rank")
SELECTING = ("topk", "dare", "low-rank")
CODINGS: tuple[Values, ...] = ("fp32", "fp16", "int8", "int4", "sign")


@dataclass(frozen=True)
class Compression:
    """How to compress.

    Args:
        method: `topk` keeps the largest entries of the whole vector, `dare` random ones (rescaled),
            `low-rank` the top singular directions of each matrix; a coding (`fp16`, `int8`, ...) keeps
            everything.
        keep: the share of the numbers that is kept, in (0, 1]; for low-rank: numbers in the factors.
        values: how the kept numbers are coded (of a coding method: the method itself).
        seed: of dare.
    """

    method: CompressionMethod
    keep: float = 1.0
    values: Values = "fp16"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in COMPRESSIONS:
            raise ConfigError(f"must be one of {', '.join(COMPRESSIONS)}", field="method", value=self.method)
        if self.values not in CODINGS:
            raise ConfigError(f"must be one of {', '.join(CODINGS)}", field="values", value=self.values)
        if not 0 < self.keep <= 1:
            raise ConfigError("must be above 0 and at most 1", field="keep", value=self.keep)
        if self.method not in SELECTING and self.keep != 1:
            raise ConfigError(f"{self.method} keeps every number", field="keep", value=self.keep, do="use topk")


@dataclass(frozen=True)
class CompressionReport:
    """What was lost and gained. `relative_error` is ‖τ − τ'‖ / ‖τ‖ (L2); bytes are of tensor data and of the file."""

    relative_error: float
    cosine: float
    data_bytes: int
    file_bytes: int
    full_bytes: int

    @property
    def ratio(self) -> float:
        """How many times smaller than float32 the file is."""
        return self.full_bytes / self.file_bytes


class _Encoder:
    """Encodes any tensor of one vector."""

    def __init__(self, vector: TaskVector, how: Compression) -> None:
        self.tensors, self.how = vector.tensors, how
        self.threshold: float | None = None
        total = sum(self.tensors.numel(name) for name in self.tensors)
        if how.method == "topk" and how.keep < 1 and total:
            ranks = [kept(how.keep, total)]
            self.threshold = largest_magnitudes(source_stream(self.tensors), ranks)[0]

    def __call__(self, name: str) -> Coded:
        tensor, how = self.tensors[name].float(), self.how
        if how.method == "topk":
            return encode_sparse(magnitude(tensor, how.keep, threshold=self.threshold), how.values)
        if how.method == "dare":
            return encode_sparse(dare(tensor, how.keep, generator(how.seed, name, "compress")), how.values)
        if how.method == "low-rank":
            rank = _rank(tuple(tensor.shape), how.keep)
            return encode_low_rank(tensor, rank, how.values) if rank else encode_dense(tensor, how.values)
        return encode_dense(tensor, how.method)


def _rank(shape: tuple[int, ...], keep: float) -> int:
    """The rank whose factors hold the share `keep` of the numbers; 0 where factors would not be smaller."""
    if len(shape) < 2 or not math.prod(shape):
        return 0
    rows, columns = shape[0], math.prod(shape[1:])
    rank = max(1, int(keep * rows * columns / (rows + columns)))
    return rank if rank * (rows + columns) < rows * columns else 0


def compress(
    vector: TaskVector,
    out: str | Path,
    how: Compression,
    *,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> CompressionReport:
    """Write a compressed vector; `TaskVector.load` reads it like any other.

    Every tensor is encoded twice, once to learn its size and loss and once to be written, so that memory
    stays at a few tensors. The header's provenance carries method, keep, values, relative L2 error and
    cosine.

    Raises:
        ConfigError: options that cannot be combined.
        CheckpointError: NaN or infinity, `out` exists, a full disk.
    """
    with one_torch_thread():
        encode = _Encoder(vector, how)
        specs: list[TensorSpec] = []
        owners: dict[str, tuple[str, str]] = {}
        encoding: dict[str, object] = {}
        lost, full, product, made = 0.0, 0.0, 0.0, 0.0
        for name in vector.tensors:
            tensor, coded = vector.tensors[name].float(), encode(name)
            decoded = decode(coded)
            error = tensor - decoded
            lost, full = lost + inner(error, error), full + inner(tensor, tensor)
            product, made = product + inner(tensor, decoded), made + inner(decoded, decoded)
            encoding[name] = coded.describe()
            for part, value in coded.parts.items():
                specs.append(TensorSpec(part_name(name, part), tuple(value.shape), value.dtype))
                owners[part_name(name, part)] = (name, part)
    relative = math.sqrt(lost / full) if full else 0.0
    cosine = product / math.sqrt(full * made) if full and made else 0.0
    loss = {"method": how.method, "keep": how.keep, "values": how.values, "relative_error": relative, "cosine": cosine}
    provenance = vector.provenance.model_copy(update={"compression": loss})

    def make(spec: TensorSpec) -> Iterable[Tensor]:
        name, part = owners[spec.name]
        return [encode(name).parts[part]]

    extra = {ENCODING_KEY: json.dumps(encoding, separators=(",", ":"))}
    write_coded_vector(out, specs, make, vector.base, provenance, extra, overwrite, options)
    return CompressionReport(
        relative_error=relative,
        cosine=cosine,
        data_bytes=sum(spec.nbytes for spec in specs),
        file_bytes=Path(out).stat().st_size,
        full_bytes=sum(vector.tensors.numel(name) for name in vector.tensors) * torch.float32.itemsize,
    )
