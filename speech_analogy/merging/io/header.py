"""The header of a safetensors file: read with every rule of the format checked, and written before the data.

The `safetensors` library reads a header too, but its errors name no tensor, and it can only write tensors
that are all in memory. Format: https://huggingface.co/docs/safetensors (u64 length, JSON header, data).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.tensors import TensorSource, count

MAX_HEADER_BYTES = 64_000_000  # the reference implementation allows 100 MB; no model's has a hundredth of it
MOST_TENSORS = 50_000  # in one file
MOST_COMMAS = 20 * MOST_TENSORS  # counted before anything is parsed
MOST_SIDES = 16
MOST_BYTES = 1 << 60  # of a tensor, also where another side is zero: torch multiplies them
LENGTH_BYTES = 8
ALIGNMENT_BYTES = 8
METADATA = "__metadata__"

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor's name, shape and dtype, before it exists."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numel(self) -> int:
        """Number of elements."""
        return count(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.numel * self.dtype.itemsize


def specs_of(source: TensorSource, dtype: torch.dtype | None = None) -> list[TensorSpec]:
    """The tensors of a source; weights (floating point) in `dtype`, if one is given, and everything else in its own."""
    return [
        TensorSpec(
            name,
            source.shape(name),
            dtype if dtype is not None and source.is_float(name) else source.dtype(name),
        )
        for name in source
    ]


@dataclass(frozen=True)
class ByteRange:
    """Where a tensor lies in its file: from byte `begin` up to byte `end`."""

    spec: TensorSpec
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """Where all tensors of a file lie, by name, and its metadata."""

    entries: dict[str, ByteRange]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file.

    Raises:
        CheckpointError: a truncated file, invalid JSON, an unknown dtype, offsets that overlap, leave holes, leave
            the file or disagree with the shape.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if size < LENGTH_BYTES or length > min(MAX_HEADER_BYTES, size - LENGTH_BYTES):
                raise CheckpointError(
                    f"a safetensors header must lie inside its file of {size} bytes",
                    file=path,
                    field="header length",
                    value=length,
                    do="copy the file again: it is truncated or not safetensors",
                )
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(f"the file must be readable: {error.strerror}", file=path) from None
    for found, most in ((text.count(b"data_offsets"), MOST_TENSORS), (text.count(b","), MOST_COMMAS)):
        if found > most:
            rule = f"a header must name at most {MOST_TENSORS} tensors"
            raise CheckpointError(rule, file=path, field="header", value=found, do="copy the file again")
    raw = _parse_json(path, text)
    metadata = raw.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError("metadata must map strings to strings", file=path, field=METADATA)
    data_begin = LENGTH_BYTES + length
    entries = {name: _entry(path, name, raw[name], data_begin, size) for name in sorted(raw)}
    _require_no_holes(path, entries, data_begin, size)
    return Header(entries, metadata)


def _parse_json(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise CheckpointError("a name must occur once in the header", file=path, field=twice)
        return dict(pairs)

    try:
        raw = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the safetensors header must be JSON: {str(error)[:80]}", file=path, do="copy the file again"
        ) from None
    if not isinstance(raw, dict):
        raise CheckpointError("the safetensors header must be a JSON object", file=path, do="copy the file again")
    return raw


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _entry(path: Path, name: str, raw: Any, data_begin: int, size: int) -> ByteRange:
    def wrong(rule: str, value: object) -> CheckpointError:
        return CheckpointError(rule, file=path, field=name, value=value, do="copy the file again: its header is wrong")

    if not isinstance(raw, dict) or set(raw) != {"dtype", "shape", "data_offsets"}:
        raise wrong("an entry must have dtype, shape and data_offsets", str(raw)[:80])
    dtype, shape, offsets = raw["dtype"], raw["shape"], raw["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise wrong(f"dtype must be one of {', '.join(DTYPES)}", str(dtype)[:80])
    if not isinstance(shape, list) or len(shape) > MOST_SIDES or not all(_is_size(side) for side in shape):
        raise wrong(f"shape must be a list of sizes, {MOST_SIDES} at most", str(shape)[:80])
    if count([side or 1 for side in shape]) * DTYPES[dtype].itemsize > MOST_BYTES:
        raise wrong("shape must be that of a tensor", str(shape)[:80])
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(side) for side in offsets):
        raise wrong("data_offsets must be two positions", str(offsets)[:80])
    begin, end = data_begin + offsets[0], data_begin + offsets[1]
    if begin > end or end > size:
        raise wrong(f"data_offsets must lie inside the {size - data_begin} bytes of data", str(offsets)[:80])
    spec = TensorSpec(name, tuple(shape), DTYPES[dtype])
    if spec.nbytes != end - begin:
        raise wrong(f"shape {str(shape)[:80]} of {dtype} takes {str(spec.nbytes)[:30]} bytes", end - begin)
    return ByteRange(spec, begin, end)


def _require_no_holes(path: Path, entries: Mapping[str, ByteRange], data_begin: int, size: int) -> None:
    position = data_begin
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            raise CheckpointError(
                "data_offsets must neither overlap nor leave holes",
                file=path,
                field=entry.spec.name,
                value=entry.begin - data_begin,
                do="copy the file again: its header is wrong",
            )
        position = entry.end
    if position != size:
        raise CheckpointError(
            f"the file must end where its last tensor ends, at {position} bytes",
            file=path,
            value=size,
            do="copy the file again",
        )


def build_header(specs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, ByteRange]]:
    """The first bytes of a file, and where in it each tensor goes: widest dtype first (so all are aligned),
    then name."""
    ordered = sorted(specs, key=lambda spec: (-spec.dtype.itemsize, spec.name))
    table: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    position, offsets = 0, {}
    for spec in ordered:
        offsets[spec.name] = (position, position + spec.nbytes)
        position += spec.nbytes
        table[spec.name] = {
            "dtype": DTYPE_NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": list(offsets[spec.name]),
        }
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT_BYTES)
    begin = LENGTH_BYTES + len(text)
    entries = {
        spec.name: ByteRange(spec, begin + offsets[spec.name][0], begin + offsets[spec.name][1]) for spec in ordered
    }
    return len(text).to_bytes(LENGTH_BYTES, "little") + text, entries


def write_all(descriptor: int, data: memoryview | bytes, position: int) -> None:
    """`os.pwrite` until everything is written."""
    view = memoryview(data)
    while len(view):
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written
