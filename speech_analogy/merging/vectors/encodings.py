"""How a tensor of a compressed vector is stored: which entries (dense, mask, gaps, low rank), and each value's code.

A coded tensor `name` becomes the tensors `name#values`, `name#scales`, `name#mask` or `name#gaps`, or
`name#left…` and `name#right…`; the file's header names them under `encoding`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.header import MOST_BYTES, MOST_SIDES, MOST_TENSORS
from speech_analogy.merging.methods.spectral import low_rank
from speech_analogy.merging.tensors import StateDict, TensorSource, WholeTensors, count

Values = Literal["fp32", "fp16", "int8", "int4", "sign"]
Layout = Literal["zero", "dense", "mask", "gaps", "low-rank"]

GROUP = {"fp16": 65536, "int8": 256, "int4": 64, "sign": 512}
"""Values that share one float32 scale."""

INT8_LEVELS = 127
INT4_LEVELS = 7
ESCAPE = 255  # a gap of this many entries without a kept one
MARK = "#"
ENCODING_KEY = "encoding"

Parts = dict[str, Tensor]


@dataclass(frozen=True)
class Coded:
    """One tensor as it is stored."""

    layout: Layout
    values: Values
    shape: tuple[int, ...]
    parts: Parts

    def describe(self) -> dict[str, Any]:
        """Its entry in the header."""
        return {"layout": self.layout, "values": self.values, "shape": list(self.shape)}


def encode_values(values: Tensor, how: Values) -> Parts:
    """Code a flat float32 tensor: `values`, and `scales` (one for each group) unless they stay float32.

    int8 and int4 are symmetric, scaled by the largest magnitude of the group; sign keeps one bit and the mean
    magnitude of the group, its best approximation (BitDelta, arXiv 2402.10193, eq. 4).
    """
    if how == "fp32":
        return {"values": values.float()}
    groups = _grouped(values.float(), GROUP[how])  # (groups, size)
    if how == "sign":
        sizes = torch.full((len(groups),), groups.shape[1]) if len(groups) else torch.zeros(0)
        if len(groups):
            sizes[-1] = len(values) - groups.shape[1] * (len(groups) - 1)
        packed = np.packbits((values >= 0).numpy())
        return {"values": torch.from_numpy(packed), "scales": groups.abs().sum(dim=1) / sizes}
    scales = groups.abs().amax(dim=1) if groups.numel() else torch.zeros(len(groups))
    unit = groups / torch.where(scales == 0, torch.ones_like(scales), scales).unsqueeze(1)
    if how == "fp16":
        return {"values": unit.reshape(-1)[: len(values)].half(), "scales": scales}
    levels = INT8_LEVELS if how == "int8" else INT4_LEVELS
    codes = (unit * levels).round().to(torch.int8).reshape(-1)[: len(values)]
    if how == "int8":
        return {"values": codes, "scales": scales}
    nibbles = (codes + INT4_LEVELS + 1).to(torch.uint8)  # 1 to 15
    if len(nibbles) % 2:
        nibbles = torch.cat([nibbles, nibbles.new_zeros(1)])
    return {"values": nibbles[0::2] | nibbles[1::2] << 4, "scales": scales}


def decode_values(parts: Mapping[str, Tensor], how: Values, length: int) -> Tensor:
    """The flat float32 tensor of `length` values; a ValueError where the parts cannot hold it."""
    stored = parts["values"].reshape(-1)
    if how == "fp32":
        _require(len(stored) == length and stored.dtype == torch.float32, "values")
        return stored
    if how == "sign":
        _require(len(stored) == (length + 7) // 8 and stored.dtype == torch.uint8, "values")
        bits = torch.from_numpy(np.unpackbits(stored.numpy(), count=length))
        values = bits.float().mul_(2).sub_(1)
    elif how == "int4":
        _require(len(stored) == (length + 1) // 2 and stored.dtype == torch.uint8, "values")
        nibbles = torch.stack([stored & 0xF, stored >> 4], dim=1).reshape(-1)[:length]
        values = (nibbles.float() - (INT4_LEVELS + 1)) / INT4_LEVELS
    else:
        _require(len(stored) == length, "values")
        _require(stored.dtype == (torch.int8 if how == "int8" else torch.float16), "values")
        values = stored.float() / INT8_LEVELS if how == "int8" else stored.float()
    scales = parts["scales"].reshape(-1).float()
    groups = _grouped(values, GROUP[how])
    _require(len(scales) == len(groups), "scales")
    return (groups * scales.unsqueeze(1)).reshape(-1)[:length]


def _grouped(values: Tensor, size: int) -> Tensor:
    """Rows of `size` values, the last one filled up with zeros."""
    short = -len(values) % size
    return torch.cat([values, values.new_zeros(short)]).reshape(-1, size)


def encode_dense(tensor: Tensor, how: Values) -> Coded:
    """All entries."""
    return Coded("dense", how, tuple(tensor.shape), encode_values(tensor.reshape(-1), how))


def encode_sparse(tensor: Tensor, how: Values) -> Coded:
    """The entries that are not zero, with their positions as a bit mask or as gaps, whichever is shorter."""
    flat = tensor.reshape(-1)
    positions = torch.nonzero(flat).reshape(-1)
    shape = tuple(tensor.shape)
    if not len(positions):
        return Coded("zero", how, shape, {})
    values = encode_values(flat[positions], how)
    gaps = _gaps(positions)
    mask_bytes = (len(flat) + 7) // 8
    if len(gaps) < mask_bytes:
        return Coded("gaps", how, shape, {"gaps": gaps, **values})
    mask = torch.from_numpy(np.packbits((flat != 0).numpy()))
    return Coded("mask", how, shape, {"mask": mask, **values})


def _gaps(positions: Tensor) -> Tensor:
    """Distances between kept entries in bytes: ESCAPE means that many entries without one."""
    steps = np.diff(positions.numpy(), prepend=-1) - 1
    escapes, rest = np.divmod(steps, ESCAPE)
    ends = np.cumsum(escapes + 1) - 1
    coded = np.full(int(ends[-1]) + 1, ESCAPE, dtype=np.uint8)
    coded[ends] = rest.astype(np.uint8)
    return torch.from_numpy(coded)


def _positions(gaps: Tensor) -> Tensor:
    coded = gaps.numpy().astype(np.int64)
    is_entry = coded != ESCAPE
    reached = np.cumsum(np.where(is_entry, coded + 1, coded)) - 1
    return torch.from_numpy(reached[is_entry])


def encode_low_rank(tensor: Tensor, rank: int, how: Values) -> Coded:
    """The nearest matrix of this rank (a tensor of more axes is seen as (first, rest)); the factors are
    coded."""
    matrix = tensor.reshape(tensor.shape[0], -1)
    left, right = low_rank(matrix.float(), rank)
    parts = {f"left_{part}": value for part, value in encode_values(left.reshape(-1), how).items()}
    parts |= {f"right_{part}": value for part, value in encode_values(right.reshape(-1), how).items()}
    return Coded("low-rank", how, tuple(tensor.shape), parts | {"rank": torch.tensor([rank], dtype=torch.int32)})


def decode(coded: Coded) -> Tensor:
    """The tensor, float32; a ValueError where the parts do not fit together."""
    shape, length = coded.shape, count(coded.shape)
    if coded.layout == "zero":
        return torch.zeros(shape)
    if coded.layout == "dense":
        return decode_values(coded.parts, coded.values, length).reshape(shape)
    if coded.layout == "low-rank":
        return _decode_low_rank(coded).reshape(shape)
    if coded.layout == "gaps":
        positions = _positions(coded.parts["gaps"].reshape(-1))
        _require(not len(positions) or int(positions[-1]) < length, "gaps")
    else:
        mask = coded.parts["mask"].reshape(-1)
        _require(len(mask) == (length + 7) // 8 and mask.dtype == torch.uint8, "mask")
        positions = torch.from_numpy(np.flatnonzero(np.unpackbits(mask.numpy(), count=length)))
    flat = torch.zeros(length)
    flat[positions] = decode_values(coded.parts, coded.values, len(positions))
    return flat.reshape(shape)


def _decode_low_rank(coded: Coded) -> Tensor:
    rank = int(coded.parts["rank"].reshape(-1)[0])
    rows, columns = coded.shape[0], count(coded.shape[1:])
    _require(0 < rank <= min(rows, columns), "rank")

    def side(name: str, length: int) -> Tensor:
        parts = {key.removeprefix(name): part for key, part in coded.parts.items() if key.startswith(name)}
        return decode_values(parts, coded.values, length)

    return side("left_", rows * rank).reshape(rows, rank) @ side("right_", rank * columns).reshape(rank, columns)


def _require(holds: bool, part: str) -> None:
    if not holds:
        raise ValueError(f"the part {part!r} has the wrong size, dtype or values")


def part_name(name: str, part: str) -> str:
    """What a part of a tensor is called in the file."""
    return f"{name}{MARK}{part}"


def decoded_source(file: TensorSource, encoding: str) -> TensorSource:
    """The tensors of a compressed file, decoded one at a time when asked for.

    Raises:
        CheckpointError: an encoding that cannot be read, at once or when the tensor is asked for.
    """
    table = _table(file, encoding)
    parts: dict[str, list[str]] = {name: [] for name in table}
    for stored in file:
        name, mark, _ = stored.rpartition(MARK)
        if not mark or name not in table:
            raise CheckpointError("the encoding must describe this part", file=file.label, field=stored)
        parts[name].append(stored)
    like = StateDict({name: torch.empty(shape, device="meta") for name, (_, _, shape) in table.items()})

    def make(name: str) -> Tensor:
        layout, values, shape = table[name]
        found = {stored.rpartition(MARK)[2]: file[stored] for stored in parts[name]}
        try:
            return decode(Coded(layout, values, shape, found))
        except (ValueError, KeyError, RuntimeError, TypeError, IndexError) as error:
            raise CheckpointError(
                f"the coded tensor must be readable: {str(error)[:80]}", file=file.label, field=name
            ) from None

    return WholeTensors(like, list(table), torch.float32, make, file.label)


def _table(file: TensorSource, encoding: str) -> dict[str, tuple[Layout, Values, tuple[int, ...]]]:
    layouts, codings = ("zero", "dense", "mask", "gaps", "low-rank"), ("fp32", "fp16", "int8", "int4", "sign")
    stored, zeros = _stored(file), MOST_ZEROS
    try:
        raw = json.loads(encoding)
        if len(raw) > MOST_TENSORS:
            raise ValueError(f"{len(raw)} tensors")
        table: dict[str, tuple[Layout, Values, tuple[int, ...]]] = {}
        for name, entry in raw.items():
            shape = tuple(int(side) for side in entry["shape"])
            fits = entry["layout"] in layouts and entry["values"] in codings and all(side >= 0 for side in shape)
            if not fits or len(shape) > MOST_SIDES or count([side or 1 for side in shape]) > MOST_BYTES:
                raise ValueError(name)
            if entry["layout"] == "zero":
                zeros -= count(shape)
            if zeros < 0 or (entry["layout"] != "zero" and count(shape) > MAX_ELEMENTS_PER_BYTE * stored[name]):
                raise ValueError(f"more than the file can hold: {name}")
            table[name] = (entry["layout"], entry["values"], shape)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"the header's encoding must be readable: {str(error)[:80]}", file=file.label, field=ENCODING_KEY
        ) from None
    return table


MAX_ELEMENTS_PER_BYTE = 1 << 14
"""More than any coding here reaches; a header that claims more would ask for memory that the file cannot
justify."""
MOST_ZEROS = 1 << 31
"""Elements of all tensors of which nothing is stored, for they are all zero."""


def _stored(file: TensorSource) -> Counter[str]:
    """Bytes of the parts of each tensor."""
    found: Counter[str] = Counter()
    for part in file:
        found[part.rpartition(MARK)[0]] += file.numel(part) * file.dtype(part).itemsize
    return found
