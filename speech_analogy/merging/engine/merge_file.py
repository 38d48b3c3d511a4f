"""The merge file: mergekit's shape (merge_method, models, parameters, base_model, dtype), read into a plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.foundation.suggest import nearest
from speech_analogy.foundation.user_files.yaml_text import read_yaml
from speech_analogy.merging.engine.merger import MergeInput, MergePlan
from speech_analogy.merging.engine.write import write_merge
from speech_analogy.merging.io.checkpoints import Checkpoint, open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions
from speech_analogy.merging.methods.declaration import MergeMethod
from speech_analogy.merging.methods.parameters import Definitions
from speech_analogy.merging.methods.registry import get_method
from speech_analogy.merging.naming import known_as
from speech_analogy.merging.scope import Depth, Setting
from speech_analogy.merging.tensors import TensorSource, accumulator
from speech_analogy.merging.vectors.file import VECTOR_SCHEMA
from speech_analogy.merging.vectors.lora import read_lora
from speech_analogy.merging.vectors.task_vector import TaskVector

OUTPUT_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
PRECISIONS = ("float32", "float64")  # of the arithmetic
TOP_KEYS = (
    "merge_method",
    "models",
    "slices",
    "base_model",
    "parameters",
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "definitions",
    "precision",
    "allow_other_base",
)
MODEL_KEYS = ("model", "vector", "adapter", "parameters", "statistics")
REFERENCES = ("base_model", "model", "vector", "adapter", "statistics", "tokenizer_source")  # to models and files
IGNORED_PARAMETERS = ("int8_mask",)  # mergekit's way to save memory; changes no result


Find = Callable[[str], Path]


@dataclass(frozen=True)
class MergeFile:
    """A merge file as read, before anything is opened."""

    file: Path
    content: Mapping[str, Any]
    method: MergeMethod
    models: Sequence[Mapping[str, Any]]
    definitions: Definitions
    find: Find | None = None


def read_merge_file(path: str | Path, find: Find | None = None) -> MergeFile:
    """Read and check a merge file.

    Keys are mergekit's; beside them: `definitions: paper | mergekit` (whose defaults hold for what is not set),
    `precision: float32 | float64`, `allow_other_base: true`, inputs given as `vector:` or `adapter:` files, and
    `scope:` beside `filter:` in a conditional value. Arithmetic is always float32 or float64; `dtype` (or
    `out_dtype`, which takes precedence) is the dtype the result is cast to.

    Args:
        find: gives the folder of a model whose name is not a path, such as a hub's id; None: paths only.

    Raises:
        ConfigError: invalid YAML, an unknown key (with the nearest one), a form that has no meaning here.
    """
    path = Path(path)
    content = read_yaml(
        path,
        ConfigError,
        missing="no such merge file",
        broken="the merge file must be YAML",
        do="give the path of a YAML file",
    )
    if not isinstance(content, Mapping):
        raise ConfigError("the merge file must be a mapping", file=path, value=type(content).__name__)
    _require_keys(path, content, TOP_KEYS, "")
    if not isinstance(content.get("merge_method"), str):
        raise ConfigError("the merge file must name its method", file=path, field="merge_method")
    definitions = content.get("definitions", "paper")
    if definitions not in ("paper", "mergekit"):
        raise ConfigError("must be paper or mergekit", file=path, field="definitions", value=definitions)
    try:
        method = get_method(content["merge_method"])
    except ConfigError as error:
        raise ConfigError(error.rule, file=path, field=error.field, value=error.value, do=error.do) from None
    return MergeFile(path, content, method, _models(path, content), definitions, find)


def merge(
    config: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
    find: Find | None = None,
) -> Path:
    """Run a merge file and write the merged model folder.

    Args:
        find: as in `read_merge_file`.

    Raises:
        ConfigError: a merge file that cannot be understood.
        CheckpointError: weights that are missing, broken, or do not fit each other; `out` exists; a full
            disk.
    """
    parsed = read_merge_file(config, find)
    description = {"file": parsed.file.name, **_described(parsed)}
    return write_merge(make_plan(parsed), out, overwrite=overwrite, options=options, description=description)


def _described(parsed: MergeFile) -> dict[str, Any]:
    """The file's content as the model's record has it: what it names is `known_as`."""

    def one(value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            return {name: one(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [one(inner) for inner in value]
        return called(value) if isinstance(value, str) and key in REFERENCES else value

    def called(reference: str) -> str:
        path = _resolved(parsed, reference)
        if path.exists() or "+" not in reference:
            return known_as(path if path.exists() else reference)
        return " + ".join(map(called, reference.rsplit("+", 1)))

    return {str(key): one(value, str(key)) for key, value in parsed.content.items()}


def make_plan(parsed: MergeFile) -> MergePlan:
    """Open everything a merge file names."""
    content, file = parsed.content, parsed.file
    base_path = content.get("base_model")
    base = None if base_path is None else _weights(parsed, str(base_path))
    settings = _settings(parsed, content.get("parameters"), "parameters")
    inputs: list[MergeInput] = []
    for position, item in enumerate(parsed.models):
        own = _settings(parsed, item.get("parameters"), f"models[{position}].parameters")
        is_base = base_path is not None and str(item.get("model")) == str(base_path)
        if is_base and (parsed.method.on == "deltas" or parsed.method.base_is_input):
            continue  # mergekit files may list the base; its own difference is zero
        inputs.append(_input(parsed, item, base, own))
    models = [item.source for item in inputs if isinstance(item.source, Checkpoint)]
    _require_all_layers(parsed, models)
    related = parsed.method.on == "deltas" or parsed.method.base_is_input
    if related and not content.get("allow_other_base"):
        _require_lineage(models, base)
    dtype = content.get("out_dtype") or content.get("dtype")
    return MergePlan(
        parsed.method,
        inputs,
        base,
        settings,
        parsed.definitions,
        None if dtype is None else _dtype(file, dtype, "dtype"),
        _dtype(file, content.get("precision", "float32"), "precision"),
    )


def _require_keys(file: Path, content: Mapping[Any, Any], allowed: Sequence[str], where: str) -> None:
    for key in content:
        if key not in allowed:
            raise ConfigError("unknown key", file=file, field=f"{where}{key}", do=nearest(str(key), allowed))


def _models(file: Path, content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The inputs, from `models`, or from a single slice over all layers."""
    models, slices = content.get("models"), content.get("slices")
    if (models is None) == (slices is None):
        raise ConfigError("the merge file must have either models or slices", file=file, field="models")
    if slices is not None:
        models = _from_slices(file, slices)
    if not isinstance(models, list) or not models:
        raise ConfigError("models must be a list with at least one model", file=file, field="models")
    for position, item in enumerate(models):
        if not isinstance(item, Mapping) or sum(key in item for key in ("model", "vector", "adapter")) != 1:
            raise ConfigError(
                "an input must have one of model, vector, adapter", file=file, field=f"models[{position}]", value=item
            )
        keys = (*MODEL_KEYS, "layer_range") if slices is not None else MODEL_KEYS
        _require_keys(file, item, keys, f"models[{position}].")
    return models


def _from_slices(file: Path, slices: Any) -> list[Any]:
    if not isinstance(slices, list) or len(slices) != 1 or not isinstance(slices[0], Mapping):
        raise ConfigError(
            "layers cannot be rearranged; there must be one slice over all layers",
            file=file,
            field="slices",
            do="use models",
        )
    sources = slices[0].get("sources")
    _require_keys(file, slices[0], ("sources", "parameters"), "slices[0].")
    if not isinstance(sources, list) or not all(isinstance(source, Mapping) for source in sources):
        raise ConfigError("a slice must list its sources", file=file, field="slices[0].sources")
    ranges = {str(source.get("layer_range")) for source in sources}
    if len(ranges) != 1 or not re.match(r"\[0,", ranges.copy().pop()):
        raise ConfigError(
            "all sources must have one layer_range that begins at 0", file=file, field="slices[0].sources", value=ranges
        )
    shared = _parameters(file, slices[0].get("parameters"), "slices[0].parameters")
    return [
        {
            **source,
            "parameters": {
                **shared,
                **_parameters(file, source.get("parameters"), f"slices[0].sources[{position}].parameters"),
            },
        }
        for position, source in enumerate(sources)
    ]


def _parameters(file: Path, raw: Any, where: str) -> Mapping[Any, Any]:
    if raw is not None and not isinstance(raw, Mapping):
        raise ConfigError("parameters must be a mapping", file=file, field=where, value=type(raw).__name__)
    return raw or {}


def _settings(parsed: MergeFile, raw: Any, where: str) -> dict[str, Setting]:
    return {
        str(name): Setting.parse(value, f"{where}.{name}")
        for name, value in _parameters(parsed.file, raw, where).items()
        if name not in IGNORED_PARAMETERS
    }


def _input(
    parsed: MergeFile, item: Mapping[str, Any], base: TensorSource | None, settings: Mapping[str, Setting]
) -> MergeInput:
    statistics = item.get("statistics")
    gathered = None if statistics is None else open_checkpoint(_resolved(parsed, str(statistics)))
    if "model" in item:
        weights = _weights(parsed, str(item["model"]))
        if isinstance(weights, Checkpoint) and weights.metadata.get("schema") == VECTOR_SCHEMA:
            raise CheckpointError("is a task vector and no model", file=weights.label, do="give it as vector: FILE")
        return MergeInput(weights, False, settings, gathered)
    if "vector" in item:
        vector = TaskVector.load(_resolved(parsed, str(item["vector"])))
    else:
        checkpoint = base if isinstance(base, Checkpoint) else None
        vector = read_lora(_resolved(parsed, str(item["adapter"])), checkpoint)
    if base is not None and not parsed.content.get("allow_other_base"):
        found = fingerprint(base)
        if vector.base.fingerprint != found:
            raise CheckpointError(
                f"a vector must be applied to its own base {vector.base.name} ({vector.base.fingerprint})",
                file=base.label,
                field="base fingerprint",
                value=found,
                do="name its own base as base_model, or set allow_other_base: true",
            )
    return MergeInput(vector.tensors, True, settings, gathered)


def _weights(parsed: MergeFile, reference: str) -> TensorSource:
    """A checkpoint, or mergekit's `model+adapter`: a checkpoint with a LoRA adapter added."""
    whole = _resolved(parsed, reference)
    if whole.exists() or "+" not in reference:
        return open_checkpoint(_model_folder(parsed, reference))
    model_path, adapter_path = reference.rsplit("+", 1)
    model = open_checkpoint(_model_folder(parsed, model_path))
    return _Adapted(model, read_lora(_resolved(parsed, adapter_path), model).tensors)


class _Adapted(TensorSource):
    """A checkpoint with the differences of an adapter added in float32; what lies beside its weights is the model's."""

    def __init__(self, model: Checkpoint, delta: TensorSource) -> None:
        self.model, self.delta = model, delta
        self.folder, self.provenance = model.folder, model.provenance
        self.label, self._name = f"{model.label} + {delta.label}", f"{model.name} + {delta.name}"

    def keys(self) -> list[str]:
        return self.model.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        return self.model.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        return accumulator(self.model.dtype(name)) if name in self.delta else self.model.dtype(name)

    def piece(self, name: str, start: int, stop: int) -> Tensor:
        weight = self.model.piece(name, start, stop)
        return weight.to(self.dtype(name)) + self.delta.piece(name, start, stop) if name in self.delta else weight

    def __getitem__(self, name: str) -> Tensor:
        weight = self.model[name]
        return weight.to(self.dtype(name)) + self.delta[name] if name in self.delta else weight


def _resolved(parsed: MergeFile, path: str) -> Path:
    """A path relative to the merge file, or else to the working folder."""
    beside = parsed.file.parent / path
    return beside if beside.exists() else Path(path)


def _model_folder(parsed: MergeFile, reference: str) -> Path:
    path = _resolved(parsed, reference)
    return parsed.find(reference) if parsed.find is not None and not path.exists() else path


def _require_all_layers(parsed: MergeFile, models: Sequence[Checkpoint]) -> None:
    """A slice must cover all layers of every part."""
    for item in parsed.models:
        if "layer_range" not in item:
            continue
        for model in models:
            layers = set(Depth(model).layers.values())
            if layers != {item["layer_range"][1]}:
                raise ConfigError(
                    f"layers cannot be left out; {model.label} has {sorted(layers)}",
                    file=parsed.file,
                    field="slices[0].sources.layer_range",
                    value=item["layer_range"],
                    do="use models",
                )


def _require_lineage(models: Sequence[Checkpoint], base: TensorSource | None) -> None:
    """Models whose provenance names their base must come from this base, or from the base's own base."""
    if not isinstance(base, Checkpoint):
        return
    claims = {str(model.provenance["base_fingerprint"]) for model in models if "base_fingerprint" in model.provenance}
    if not claims or claims == {str(base.provenance.get("base_fingerprint"))}:
        return
    if claims != {fingerprint(base)}:
        require_same_base(list(models), None)
        raise CheckpointError(
            f"the models were tuned from {', '.join(sorted(claims))}, not from this base",
            file=base.label,
            field="base_model",
            value=fingerprint(base),
            do="name their base as base_model, or set allow_other_base: true",
        )


def _dtype(file: Path, name: Any, field: str) -> torch.dtype:
    known = PRECISIONS if field == "precision" else tuple(OUTPUT_DTYPES)
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"must be one of {', '.join(known)}", file=file, field=field, value=name)
    return OUTPUT_DTYPES[name]
