"""Runs any merge method over any number of checkpoints and vectors: into a folder, into memory, into a
vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.files import write_json
from speech_analogy.merging.engine.merger import MergeInput, MergePlan, Merger
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE, Checkpoint
from speech_analogy.merging.io.header import TensorSpec
from speech_analogy.merging.io.lineage import note_dtype, output_dtype
from speech_analogy.merging.io.model_folder import copy_companions, new_folder
from speech_analogy.merging.io.provenance import carried, now
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions, gathered, write_model
from speech_analogy.merging.methods.parameters import Definitions
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.scope import Setting
from speech_analogy.merging.tensors import one_torch_thread
from speech_analogy.merging.vectors.task_vector import TaskVector, made_of, require_one_base


def merge_tensors(plan: MergePlan) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a merge, one at a time, in memory; the same bits as `write_merge` writes.

    Raises:
        CheckpointError: inputs that do not fit, NaN or infinity.
        ConfigError: parameters that the method does not have.
    """
    merger = Merger(plan)
    with one_torch_thread():
        for name in merger.layout:
            spec = TensorSpec(name, merger.layout.shape(name), output_dtype(merger.layout, name, plan.dtype))
            yield name, gathered(merger.make, spec)


def write_merge(
    plan: MergePlan,
    out: str | Path,
    *,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
    description: Mapping[str, Any] | None = None,
) -> Path:
    """Write a merged model as a folder; the non-weight files of the base (or of the first model) go along.

    Args:
        description: goes into `provenance.json`.

    Raises:
        CheckpointError, ConfigError: as `merge_tensors`; `out` exists; a full disk.
    """
    merger = Merger(plan)
    if merger.gives_delta:
        raise ConfigError("a merge of vectors alone gives a vector", field="base_model", do="name a base_model")
    specs = [
        TensorSpec(name, merger.layout.shape(name), output_dtype(merger.layout, name, plan.dtype))
        for name in merger.layout
    ]
    models = [source for source in merger.inputs() if isinstance(source, Checkpoint)]
    with new_folder(out, overwrite) as folder:
        donor = next((model.folder for model in models if model.folder is not None), None)
        if donor is not None:
            copy_companions(donor, folder)
            note_dtype(folder, plan.dtype)
        write_model(folder, specs, merger.make, options, merger.cost)
        named = {"base": merger.base} if merger.base is not None else {}
        named |= {f"model {number}": item.source for number, item in enumerate(plan.inputs, start=1)}
        parents = {role: {"path": source.label, **getattr(source, "provenance", {})} for role, source in named.items()}
        tuned = [parent for role, parent in parents.items() if role != "base"]
        told = models[0].provenance if models else {}
        identity: dict[str, Any] = {key: told[key] for key in ("base", "base_fingerprint") if key in told}
        write_json(
            folder / PROVENANCE_FILE,
            {
                "schema": 1,
                **identity,
                **carried(tuned),
                "operation": plan.method.name,
                "definitions": plan.definitions,
                "created": now(),
                "merge": dict(description or {}),
                "parents": parents,
            },
        )
    return Path(out)


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
        ConfigError: no such method or parameter, as many weights as there are not vectors.
        CheckpointError: vectors of different bases or shapes.
    """
    if not vectors or (weights is not None and len(weights) != len(vectors)):
        raise ConfigError("there must be one weight for each vector", field="weights", value=weights)
    require_one_base(vectors, allow_other_base)
    own: list[dict[str, Setting]] = [{} for _ in vectors]
    if weights is not None:
        own = [{"weight": Setting.parse(float(weight), "weight")} for weight in weights]
    inputs = [MergeInput(vector.tensors, True, mine) for vector, mine in zip(vectors, own, strict=True)]
    settings = {name: Setting.parse(value, name) for name, value in (parameters or {}).items()}
    plan = MergePlan(get_method(method), inputs, None, settings, definitions)
    tensors = Merger(plan).as_source(f"{method} of {len(vectors)} vectors")
    provenance = made_of(vectors, list(weights or [1.0] * len(vectors)), method)
    return TaskVector(tensors, vectors[0].base, provenance)
