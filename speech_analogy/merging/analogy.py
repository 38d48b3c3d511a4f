"""The analogy of checkpoints, θ_D = θ_C + λ(θ_B − θ_A), streamed to disk or made in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.arithmetic import Scale, analogy_piece, cast_piece, scale_of, scales_of, shifted
from speech_analogy.merging.io.header import TensorSpec, specs_of
from speech_analogy.merging.io.lineage import AnyCheckpoint, opened, require_same_base
from speech_analogy.merging.io.model_folder import write_model_folder
from speech_analogy.merging.io.provenance import carried, seen_by, without_seen
from speech_analogy.merging.io.stream import SHARD_BYTES, Progress, StreamOptions, gathered
from speech_analogy.merging.tensors import (
    SUM_PIECE,
    TensorSource,
    Weights,
    accumulator,
    as_source,
    pieces,
    require_finite,
    require_same_layout,
)


def analogy(
    c: AnyCheckpoint,
    plus: AnyCheckpoint,
    minus: AnyCheckpoint,
    scale: Scale,
    out: str | Path,
    *,
    base: AnyCheckpoint | None = None,
    dtype: torch.dtype | None = None,
    precision: torch.dtype = torch.float32,
    overwrite: bool = False,
    threads: int | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> Path:
    """Write θ_D = θ_C + λ(θ_B − θ_A) as a model folder (arXiv 2406.02925, 2510.08047; θ_0 cancels out).

    Streams tensor by tensor; the non-weight files of C's folder are copied, and `provenance.json` records what was
    done. λ = 0, or B = A, gives θ_C bit for bit. Tensors that are not floating point (counters) are C's.

    Args:
        c: the model that is moved: target, synthetic speech.
        plus: B: source, real speech.
        minus: A: source, synthetic speech.
        scale: λ.
        base: θ_0; if given, all three must come from it (by the `base_fingerprint` of their provenance; where
            they carry none, by names and shapes).
        dtype: of the output's weights; None: each tensor keeps C's.
        precision: of the arithmetic: float32 or float64. (float64 tensors are always computed in float64.)
        progress: called with (bytes written, bytes in all); see `stream.byte_bar`.

    Returns:
        `out`.

    Raises:
        CheckpointError: other names, shapes or bases, NaN or infinity, a broken file, `out` exists, a full
            disk.
    """
    corners = {"c": opened(c), "plus": opened(plus), "minus": opened(minus)}
    identity = require_same_base(list(corners.values()), None if base is None else opened(base))
    theta_c = corners["c"]
    require_same_layout(list(corners.values()))
    record = {
        **identity,
        **carried([theta_c.provenance]),
        **seen_by([model.provenance for model in corners.values()]),
        "operation": "analogy",
        "scale": scales_of(scale, theta_c),
        "parents": {
            corner: {"name": model.name, **without_seen(model.provenance)} for corner, model in corners.items()
        },
    }
    return write_model_folder(
        out,
        theta_c,
        _AnalogyMaker(theta_c, corners["plus"], corners["minus"], scale, precision),
        record,
        companions=theta_c.folder,
        dtype=dtype,
        overwrite=overwrite,
        options=StreamOptions(threads=threads, shard_bytes=shard_bytes, progress=progress),
    )


class _AnalogyMaker:
    """Makes one tensor of θ_D, piece by piece; a piece holds until the next one is asked for."""

    def __init__(
        self, c: TensorSource, plus: TensorSource, minus: TensorSource, scale: Scale, precision: torch.dtype
    ) -> None:
        self.c, self.plus, self.minus, self.scale, self.precision = c, plus, minus, scale, precision

    def __call__(self, spec: TensorSpec) -> Iterator[Tensor]:
        name, inputs = spec.name, [self.c, self.plus, self.minus]
        scale = scale_of(self.scale, name)
        if not self.c.is_float(name):
            yield self.c[name]
            return
        if scale == 0:
            for source in inputs:
                require_finite(source, name)
        compute = self.precision
        for source in inputs:
            compute = accumulator(source.dtype(name), compute)
        length = min(SUM_PIECE, spec.numel)
        raw = [torch.empty(length, dtype=source.dtype(name)) for source in inputs]
        scratch = torch.empty(length, dtype=compute), torch.empty(length, dtype=compute)
        made = torch.empty(length, dtype=spec.dtype)
        for at in pieces(spec.numel, SUM_PIECE):
            c, plus, minus = (source.read(name, *at, buffer) for source, buffer in zip(inputs, raw, strict=True))
            if scale == 0:
                values = scratch[0][: len(c)].copy_(c)
            else:
                values = analogy_piece(c, plus, minus, scale, compute, scratch)
            yield cast_piece(values, spec.dtype, name, inputs, made)


def analogy_tensors(
    c: Weights,
    plus: Weights,
    minus: Weights,
    scale: Scale,
    *,
    dtype: torch.dtype | None = None,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of θ_D = θ_C + λ(θ_B − θ_A), one at a time, the same bits as `analogy` writes.

    Raises:
        CheckpointError: other names or shapes, NaN or infinity.
    """
    sources = [as_source(c, "C"), as_source(plus, "B (plus)"), as_source(minus, "A (minus)")]
    require_same_layout(sources)
    make = _AnalogyMaker(sources[0], sources[1], sources[2], scale, precision)
    for spec in specs_of(sources[0], dtype):
        yield spec.name, gathered(make, spec)


def shift(c: Weights, tau: Weights, scale: Scale = 1.0) -> dict[str, Tensor]:
    """θ_C + λτ in memory, for a sweep over λ: load θ_C and τ = θ_B − θ_A once, call this for each λ.

    With float32 weights the bits are those of `analogy`. Tensors that τ lacks stay C's (the same object).

    Args:
        tau: a state dict of differences, `TaskVector.tensors`, or another source.

    Returns:
        name -> tensor in C's dtype and shape.
    """
    base, vector = as_source(c, "C"), as_source(tau, "τ")
    for name in vector:
        if name not in base or base.shape(name) != vector.shape(name):
            found = base.shape(name) if name in base else None
            raise CheckpointError(f"the base must have this tensor as {vector.shape(name)}", field=name, value=found)
    result: dict[str, Tensor] = {}
    for name in base:
        weight, factor = base[name], scale_of(scale, name)
        if name not in vector or factor == 0 or not base.is_float(name):
            result[name] = weight
            continue
        moved = shifted(weight.to(accumulator(weight.dtype)), vector[name], factor)
        result[name] = cast_piece(moved, weight.dtype, name, [base, vector])
    return result
