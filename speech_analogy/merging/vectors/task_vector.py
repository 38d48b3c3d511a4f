"""TaskVector: named differences of weights, the fingerprint of their base, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.merging.arithmetic import (
    Scale,
    cast_piece,
    dot,
    require_scale,
    scale_of,
    scales_of,
    shifted,
    squared_norm,
)
from speech_analogy.merging.io.checkpoints import Checkpoint, open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.io.header import TensorSpec
from speech_analogy.merging.io.model_folder import write_model_folder
from speech_analogy.merging.io.provenance import (
    BaseModelIdentity,
    Parent,
    Provenance,
    carried,
    make_provenance,
    seen_by,
    without_seen,
)
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions
from speech_analogy.merging.tensors import (
    Computed,
    StateDict,
    TensorSource,
    Weights,
    accumulator,
    as_source,
    pieces,
    require_finite,
    require_same_layout,
)
from speech_analogy.merging.vectors.file import read_vector_file, write_vector_file


@dataclass(frozen=True, eq=False)
class TaskVector:
    """τ = θ_tuned − θ_base (arXiv 2212.04089). Lazy: an expression of vectors is evaluated when it is saved
    or applied, one piece of a tensor at a time, in float32 (float64 where an operand is).

    Attributes:
        tensors: name -> difference; a name that is missing means no difference.
        base: name and fingerprint of θ_base.
        provenance: tuned on, hyper-parameters, licence, creator, date, metrics, parents.
    """

    tensors: TensorSource
    base: BaseModelIdentity
    provenance: Provenance

    @classmethod
    def between(
        cls,
        base: Weights | str | Path,
        tuned: Weights | str | Path,
        *,
        base_name: str | None = None,
        precision: torch.dtype = torch.float32,
        **provenance: Any,
    ) -> TaskVector:
        """θ_tuned − θ_base over the floating-point tensors.

        Args:
            base, tuned: checkpoints, paths, or state dicts.
            base_name: the name of the base; None: the one in the tuned model's provenance, or its file's.
            provenance: fields of `Provenance`; others are taken from the tuned folder's `provenance.json`.

        Raises:
            CheckpointError: other names or shapes, or `tuned` was tuned from another base.
            ConfigError: an unknown provenance field.
        """
        before, after = _weights(base, "base"), _weights(tuned, "tuned")
        require_same_layout([before, after])
        identity = BaseModelIdentity(name=base_name or before.name, fingerprint=fingerprint(before))
        recorded = after.provenance if isinstance(after, Checkpoint) else {}
        claimed = recorded.get("base_fingerprint")
        if claimed and claimed != identity.fingerprint:
            raise CheckpointError(
                f"the tuned model must come from this base; {before.label} has {identity.fingerprint}, "
                f"{after.label} was tuned from {claimed}",
                field="base_fingerprint",
                do="give the base it was tuned from",
            )
        if base_name is None and isinstance(recorded.get("base"), str):
            identity = identity.model_copy(update={"name": recorded["base"]})
        own = Provenance.model_fields.keys() - {"parents", "settings"}  # parents of a folder are models, not vectors
        inherited = {key: value for key, value in recorded.items() if key in own}
        inherited["settings"] = carried([recorded])
        names = [name for name in before if before.is_float(name)]
        wide = any(torch.float64 in (before.dtype(name), after.dtype(name), precision) for name in names)
        compute = torch.float64 if wide else torch.float32

        def make(name: str, start: int, stop: int) -> Tensor:
            return after.piece(name, start, stop).to(compute) - before.piece(name, start, stop).to(compute)

        tensors = Computed(
            before, names, compute, make, f"{after.label} − {before.label}", f"{after.name} − {before.name}"
        )
        return cls(tensors, identity, make_provenance(**(inherited | provenance)))

    def __add__(self, other: TaskVector | int) -> TaskVector:
        if isinstance(other, int) and other == 0:  # so that sum() works
            return self
        return linear_combination([self, other]) if isinstance(other, TaskVector) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: TaskVector) -> TaskVector:
        return linear_combination([self, other], [1.0, -1.0]) if isinstance(other, TaskVector) else NotImplemented

    def __neg__(self) -> TaskVector:
        return self * -1.0

    def __mul__(self, factor: float) -> TaskVector:
        return linear_combination([self], [factor]) if isinstance(factor, int | float) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> TaskVector:
        if divisor == 0:
            raise ConfigError("a task vector cannot be divided by zero", field="divisor")
        if not isinstance(divisor, int | float):
            return NotImplemented
        return self._elementwise(lambda values: values / divisor, 1.0 / divisor, "divide")

    def _elementwise(self, function: Callable[[Tensor], Tensor], weight: float, operation: str) -> TaskVector:
        source = self.tensors
        dtype = _dtype([self])
        tensors = Computed(
            source, source.keys(), dtype, lambda *at: function(source.piece(*at).to(dtype)), source.label, source.name
        )
        return replace(self, tensors=tensors, provenance=made_of([self], [weight], operation))

    def apply(
        self,
        base: str | Path | Checkpoint,
        out: str | Path,
        scale: Scale = 1.0,
        allow_other_base: bool = False,
        *,
        dtype: torch.dtype | None = None,
        overwrite: bool = False,
        options: StreamOptions = DEFAULT,
    ) -> Path:
        """Write θ_base + λτ as a model folder, with the base's non-weight files.

        Args:
            allow_other_base: apply to a base with the same names and shapes but another fingerprint (chat
                vector, arXiv 2310.04799).

        Raises:
            CheckpointError: another base (with both fingerprints), a tensor the base lacks, NaN or infinity,
                a result that does not fit the dtype, `out` exists, a full disk.
        """
        target = base if isinstance(base, Checkpoint) else open_checkpoint(base)
        found = fingerprint(target)
        if found != self.base.fingerprint and not allow_other_base:
            raise CheckpointError(
                f"a vector must be applied to its own base {self.base.name} ({self.base.fingerprint})",
                file=target.label,
                field="base fingerprint",
                value=found,
                do="give its own base, or use --allow-other-base",
            )
        self._require_fits(target)
        record = {
            **self.provenance.settings,
            **seen_by([self.provenance.settings, target.provenance]),
            "base": self.base.name,
            "base_fingerprint": self.base.fingerprint,
            "operation": "apply",
            "scale": scales_of(scale, target),
            "parents": {
                "base": {"name": target.name, "fingerprint": found},
                "vector": _as_parent(self.provenance).model_dump(exclude_defaults=True),
            },
        }
        return write_model_folder(
            out,
            target,
            lambda spec: self._applied(target, spec, scale_of(scale, spec.name)),
            record,
            companions=target.folder,
            dtype=dtype,
            overwrite=overwrite,
            options=options,
        )

    def _require_fits(self, target: TensorSource) -> None:
        for name in self.tensors:
            found = target.shape(name) if name in target else None
            if found != self.tensors.shape(name):
                raise CheckpointError(
                    f"the vector's tensor of shape {self.tensors.shape(name)} must exist in the base",
                    file=target.label,
                    field=name,
                    value=found,
                    do="apply it to a model of the same architecture and size",
                )

    def _applied(self, target: TensorSource, spec: TensorSpec, scale: float) -> Any:
        name, inputs = spec.name, [target, self.tensors]
        if name not in self.tensors or not target.is_float(name):
            require_finite(target, name)
            yield target[name].to(spec.dtype)
            return
        for start, stop in pieces(spec.numel):
            weight, delta = target.piece(name, start, stop), self.tensors.piece(name, start, stop)
            moved = shifted(weight.to(accumulator(weight.dtype)), delta, scale)
            yield cast_piece(moved, spec.dtype, name, inputs)

    def norms(self) -> dict[str, float]:
        """The L2 norm of each tensor."""
        return {name: math.sqrt(squared_norm(self.tensors, name)) for name in self.tensors}

    def norm(self) -> float:
        """The L2 norm of the whole vector."""
        return math.sqrt(sum(squared_norm(self.tensors, name) for name in self.tensors))

    def cosine(self, other: TaskVector) -> float:
        """The cosine of the angle between two vectors (0.0 where one of them is zero)."""
        require_one_base([self, other], allow_other_base=True)
        product = sum(dot(self.tensors, other.tensors, name) for name in self.tensors if name in other.tensors)
        norms = self.norm() * other.norm()
        return product / norms if norms else 0.0

    def sign_conflict(self, other: TaskVector) -> float:
        """The share of the entries that both vectors change which they move in opposite directions."""
        require_one_base([self, other], allow_other_base=True)
        both = opposite = 0
        for name in (name for name in self.tensors if name in other.tensors):
            for start, stop in pieces(self.tensors.numel(name)):
                signs = torch.sign(self.tensors.piece(name, start, stop)) * torch.sign(
                    other.tensors.piece(name, start, stop)
                )
                both += int(torch.count_nonzero(signs))
                opposite += int((signs < 0).sum())
        return opposite / both if both else 0.0

    def in_memory(self) -> TaskVector:
        """The same vector with every tensor computed and held in memory, e.g. for a sweep over λ."""
        return replace(self, tensors=StateDict(dict(self.tensors.items()), self.tensors.label, self.tensors.name))

    def save(self, path: str | Path, *, overwrite: bool = False, options: StreamOptions = DEFAULT) -> Path:
        """Write one safetensors file whose header carries schema, base, provenance and a digest of the
        contents.

        Raises:
            CheckpointError: NaN or infinity, `path` exists, a full disk.
        """
        write_vector_file(path, self.tensors, self.base, self.provenance, overwrite, options)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, verify: bool = True) -> TaskVector:
        """Open a saved vector; its tensors are views of the mapped file.

        Args:
            verify: read everything once and compare with the digest in the header (finds flipped bits).

        Raises:
            CheckpointError: no vector file, a broken one, or contents that differ from the digest.
        """
        return cls(*read_vector_file(path, verify))


def linear_combination(
    vectors: Sequence[TaskVector],
    weights: Sequence[float] | None = None,
    *,
    operation: str = "add",
    allow_other_base: bool = False,
) -> TaskVector:
    """Σ w_i τ_i; a tensor that a vector lacks counts as zero.

    Raises:
        CheckpointError: vectors of different bases (with both fingerprints) or shapes.
    """
    factors = [require_scale(weight, "weight") for weight in (weights or [1.0] * len(vectors))]
    if not vectors or len(factors) != len(vectors):
        raise ConfigError("there must be one weight for each vector", field="weights", value=len(factors))
    require_one_base(vectors, allow_other_base)
    owners: dict[str, list[tuple[TensorSource, float]]] = {}
    for vector, factor in zip(vectors, factors, strict=True):
        for name in vector.tensors:
            owners.setdefault(name, []).append((vector.tensors, factor))
    dtype = _dtype(vectors)

    def make(name: str, start: int, stop: int) -> Tensor:
        total: Tensor | None = None
        for source, factor in owners[name]:
            term = source.piece(name, start, stop).to(dtype) * factor
            total = term if total is None else total.add_(term)
        assert total is not None  # every name has an owner
        return total

    first = {name: owners[name][0][0] for name in owners}
    like = StateDict({name: torch.empty(source.shape(name), device="meta") for name, source in first.items()})
    label, name = (" + ".join(getattr(vector.tensors, told) for vector in vectors) for told in ("label", "name"))
    tensors = Computed(like, list(owners), dtype, make, label, name)
    return TaskVector(tensors, vectors[0].base, made_of(vectors, factors, operation))


def require_one_base(vectors: Sequence[TaskVector], allow_other_base: bool = False) -> None:
    """Refuse vectors of different bases, and tensors of different shapes under one name.

    Raises:
        CheckpointError: with both fingerprints, or the tensor and both shapes.
    """
    first = vectors[0]
    for other in vectors[1:]:
        if other.base.fingerprint != first.base.fingerprint and not allow_other_base:
            raise CheckpointError(
                f"vectors must have one base; {first.tensors.label} has {first.base.fingerprint}, "
                f"{other.tensors.label} has {other.base.fingerprint}",
                field="base fingerprint",
                do="extract them from the same base, or use --allow-other-base",
            )
        for name in first.tensors:
            if name in other.tensors and first.tensors.shape(name) != other.tensors.shape(name):
                raise CheckpointError(
                    f"a tensor must have one shape in all vectors; in {first.tensors.label} it has "
                    f"{first.tensors.shape(name)}",
                    file=other.tensors.label,
                    field=name,
                    value=other.tensors.shape(name),
                )


def made_of(vectors: Sequence[TaskVector], weights: Sequence[float], operation: str) -> Provenance:
    """The provenance of a vector made of vectors."""
    parents = [
        Parent(
            weight=weight,
            name=vector.tensors.name,
            base_fingerprint=vector.base.fingerprint,
            provenance=_as_parent(vector.provenance),
        )
        for vector, weight in zip(vectors, weights, strict=True)
    ]
    settings = carried([vector.provenance.settings for vector in vectors])
    return make_provenance(operation=operation, parents=parents, settings=settings)


def _as_parent(provenance: Provenance) -> Provenance:
    return provenance.model_copy(update={"settings": without_seen(provenance.settings)})


def _dtype(vectors: Sequence[TaskVector]) -> torch.dtype:
    wide = any(vector.tensors.dtype(name) == torch.float64 for vector in vectors for name in vector.tensors)
    return torch.float64 if wide else torch.float32


def _weights(weights: Weights | str | Path, label: str) -> TensorSource:
    return open_checkpoint(weights) if isinstance(weights, str | Path) else as_source(weights, label)
