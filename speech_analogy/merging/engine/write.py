"""Any merge method over any number of checkpoints and vectors: into a folder, into memory, into a vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.merging.engine.merger import MergeInput, MergePlan, Merger
from speech_analogy.merging.io.header import specs_of
from speech_analogy.merging.io.model_folder import write_model_folder
from speech_analogy.merging.io.provenance import carried, seen_by, without_seen
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions, gathered
from speech_analogy.merging.methods.parameters import Definitions, Role
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.scope import Setting
from speech_analogy.merging.tensors import one_torch_thread
from speech_analogy.merging.vectors.task_vector import TaskVector, made_of, require_one_base


def merge_tensors(plan: MergePlan) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a merge, one at a time, in memory; the same bits as `write_merge` writes.

    Raises:
        CheckpointError: inputs of other names or shapes, NaN or infinity.
        ConfigError: parameters that the method does not have.
    """
    merger = Merger(plan)
    with one_torch_thread():
        for spec in specs_of(merger.layout, plan.dtype):
            yield spec.name, gathered(merger.make, spec)


def write_merge(
    plan: MergePlan,
    out: str | Path,
    *,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
    description: Mapping[str, Any] | None = None,
) -> Path:
    """Write a merged model as a folder, with the non-weight files of the base (or of the first model).

    Args:
        description: goes into `provenance.json`.

    Raises:
        CheckpointError, ConfigError: as `merge_tensors`; `out` exists; a full disk.
    """
    merger = Merger(plan)
    if merger.gives_delta:
        raise ConfigError(
            "a merge of vectors alone gives a vector, not a model", field="base_model", do="name a base_model"
        )
    models = [source for source in merger.inputs() if isinstance(source, _ModelFolder)]
    return write_model_folder(
        out,
        merger.layout,
        merger.make,
        _record(merger, models, description or {}),
        companions=next((model.folder for model in models if model.folder is not None), None),
        dtype=plan.dtype,
        overwrite=overwrite,
        options=options,
        cost=merger.cost,
    )


@runtime_checkable
class _ModelFolder(Protocol):
    """Weights with a folder around them: a checkpoint, or one with an adapter added."""

    folder: Path | None
    provenance: dict[str, Any]


def _record(merger: Merger, models: Sequence[_ModelFolder], description: Mapping[str, Any]) -> dict[str, Any]:
    named = {"base": merger.base} if merger.base is not None else {}
    named |= {f"model {number}": item.source for number, item in enumerate(merger.plan.inputs, start=1)}
    parents = {role: {"name": source.name, **getattr(source, "provenance", {})} for role, source in named.items()}
    first = models[0].provenance if models else {}
    return {
        **{key: first[key] for key in ("base", "base_fingerprint") if key in first},
        **carried([parent for role, parent in parents.items() if role != "base"]),
        **seen_by(list(parents.values())),
        "operation": merger.method.name,
        "definitions": merger.plan.definitions,
        "merge": dict(description),
        "parents": {role: without_seen(parent) for role, parent in parents.items()},
    }


def merge_vectors(
    vectors: Sequence[TaskVector],
    method: str = "task_arithmetic",
    weights: Sequence[float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    definitions: Definitions = "paper",
    allow_other_base: bool = False,
) -> TaskVector:
    """Any merge method on vectors of one base: a new vector, made when it is saved or applied.

    Args:
        parameters: as in a merge file: values, gradients, lists with `filter` or `scope`.

    Raises:
        ConfigError: no such method or parameter, or not one weight for each vector.
        CheckpointError: vectors of different bases or shapes.
    """
    if not vectors or (weights is not None and len(weights) != len(vectors)):
        raise ConfigError("there must be one weight for each vector", field="weights", value=weights)
    require_one_base(vectors, allow_other_base)
    chosen = get_method(method)
    own: list[dict[str, Setting]] = [{} for _ in vectors]
    if weights is not None:
        parameter = chosen.named(Role.WEIGHT)
        if parameter is None:
            raise ConfigError(f"{chosen.name} takes no weights", field="weights", value=list(weights))
        own = [{parameter.name: Setting.parse(float(weight), parameter.name)} for weight in weights]
    inputs = [MergeInput(vector.tensors, True, mine) for vector, mine in zip(vectors, own, strict=True)]
    settings = {name: Setting.parse(value, name) for name, value in (parameters or {}).items()}
    plan = MergePlan(chosen, inputs, None, settings, definitions)
    tensors = Merger(plan).as_source(f"{method} of {len(vectors)} vectors")
    provenance = made_of(vectors, list(weights or [1.0] * len(vectors)), method)
    return TaskVector(tensors, vectors[0].base, provenance)
