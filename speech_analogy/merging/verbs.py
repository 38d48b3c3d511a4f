"""Every verb of `speech-analogy vector` and `speech-analogy merge` as one function from paths to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_analogy.errors import ConfigError
from speech_analogy.merging.arithmetic import Scale
from speech_analogy.merging.engine.merge_file import OUTPUT_DTYPES, merge
from speech_analogy.merging.engine.write import merge_vectors
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions
from speech_analogy.merging.methods.parameters import Definitions
from speech_analogy.merging.scope import ScopedScale
from speech_analogy.merging.vectors.compare import VectorComparison, compare
from speech_analogy.merging.vectors.compress import Compression, CompressionReport, compress
from speech_analogy.merging.vectors.lora import read_lora
from speech_analogy.merging.vectors.task_vector import TaskVector, linear_combination

ADAPTER_CONFIG = "adapter_config.json"


def open_vector(path: str | Path, base: str | Path | None = None) -> TaskVector:
    """A vector file, or a LoRA adapter's folder (whose base should then be given)."""
    path = Path(path)
    if (path / ADAPTER_CONFIG).is_file():
        return read_lora(path, base)
    return TaskVector.load(path)


def extract(
    base: str | Path,
    tuned: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
    **provenance: Any,
) -> Path:
    """`vector extract`: τ = θ_tuned − θ_base into a file. `tuned` may be a LoRA adapter's folder.

    Raises:
        CheckpointError: weights that are missing, broken or of other shapes; `out` exists.
        ConfigError: an unknown provenance field.
    """
    if (Path(tuned) / ADAPTER_CONFIG).is_file():
        vector = read_lora(tuned, base)
    else:
        vector = TaskVector.between(base, tuned, **provenance)
    return vector.save(out, overwrite=overwrite, options=options)


def apply(
    vector: str | Path,
    base: str | Path,
    out: str | Path,
    *,
    scale: float = 1.0,
    scopes: Sequence[str] = (),
    allow_other_base: bool = False,
    dtype: str | None = None,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> Path:
    """`vector apply`: θ_base + λτ into a model folder.

    Args:
        scopes: rules such as `encoder=0.5`; the first that contains a tensor gives its λ, `scale` is that of all
            others.
    """
    if dtype is not None and dtype not in OUTPUT_DTYPES:
        raise ConfigError(f"must be one of {', '.join(OUTPUT_DTYPES)}", field="dtype", value=dtype)
    factor: Scale = ScopedScale.parse(scopes, default=scale) if scopes else scale
    return open_vector(vector, base).apply(
        base,
        out,
        factor,
        allow_other_base,
        dtype=None if dtype is None else OUTPUT_DTYPES[dtype],
        overwrite=overwrite,
        options=options,
    )


def add(
    vectors: Sequence[str | Path],
    out: str | Path,
    *,
    weights: Sequence[float] | None = None,
    method: str = "task_arithmetic",
    parameters: Mapping[str, Any] | None = None,
    definitions: Definitions = "paper",
    allow_other_base: bool = False,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> Path:
    """`vector add`: Σ w_i τ_i, or any other method (`ties`, `dare_linear`, `tsv_merge`, `dare+elect`, ...)."""
    opened = [open_vector(path) for path in vectors]
    merged = merge_vectors(
        opened, method, weights, parameters, definitions=definitions, allow_other_base=allow_other_base
    )
    return merged.save(out, overwrite=overwrite, options=options)


def negate(vector: str | Path, out: str | Path, *, overwrite: bool = False, options: StreamOptions = DEFAULT) -> Path:
    """`vector negate`: −τ, which removes what was learned when it is applied (arXiv 2212.04089, section 3)."""
    return (-open_vector(vector)).save(out, overwrite=overwrite, options=options)


def average(
    vectors: Sequence[str | Path],
    out: str | Path,
    *,
    allow_other_base: bool = False,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> Path:
    """`vector average`: (1/n) Σ τ_i."""
    opened = [open_vector(path) for path in vectors]
    weights = [1.0 / max(1, len(opened))] * len(opened)
    merged = linear_combination(opened, weights, operation="average", allow_other_base=allow_other_base)
    return merged.save(out, overwrite=overwrite, options=options)


@dataclass(frozen=True)
class VectorSummary:
    """What `vector show` prints."""

    file: Path
    file_bytes: int
    base_name: str
    base_fingerprint: str
    provenance: Mapping[str, Any]
    tensors: int
    elements: int
    norm: float
    largest: Mapping[str, float]


def show(vector: str | Path, largest: int = 10) -> VectorSummary:
    """`vector show`: the header, the norm, and the tensors with the largest norms."""
    opened, path = open_vector(vector), Path(vector)
    norms = opened.norms()
    ranked = sorted(norms, key=lambda name: (-norms[name], name))[:largest]
    return VectorSummary(
        file=path,
        file_bytes=path.stat().st_size if path.is_file() else 0,
        base_name=opened.base.name,
        base_fingerprint=opened.base.fingerprint,
        provenance=opened.provenance.model_dump(exclude_defaults=True),
        tensors=len(opened.tensors),
        elements=sum(opened.tensors.numel(name) for name in opened.tensors),
        norm=sum(norm**2 for norm in norms.values()) ** 0.5,
        largest={name: norms[name] for name in ranked},
    )


def compare_vectors(
    vectors: Sequence[str | Path],
    json_file: str | Path | None = None,
    picture: str | Path | None = None,
    *,
    overwrite: bool = False,
) -> VectorComparison:
    """`vector compare`: cosine, sign conflict and share of norm; as JSON and SVG too where files are named."""
    named: dict[str, TaskVector] = {}
    for path in map(Path, vectors):
        name = path.stem if path.stem not in named else str(path)
        named[name] = open_vector(path)
    comparison = compare(named)
    if json_file is not None:
        comparison.write(json_file, picture, overwrite)
    return comparison


def compress_vector(
    vector: str | Path,
    out: str | Path,
    how: Compression,
    *,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> CompressionReport:
    """`vector compress`: a smaller file that is loaded and applied like any other."""
    return compress(open_vector(vector), out, how, overwrite=overwrite, options=options)


__all__ = [
    "Compression",
    "VectorSummary",
    "add",
    "apply",
    "average",
    "compare_vectors",
    "compress_vector",
    "extract",
    "merge",
    "negate",
    "open_vector",
    "show",
]
