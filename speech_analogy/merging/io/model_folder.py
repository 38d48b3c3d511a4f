"""A model folder written whole: weights, config, tokenizer and `provenance.json`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.disk.refusals import require_room
from speech_analogy.foundation.files import whole_folder, write_json
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE, read_json
from speech_analogy.merging.io.header import TensorSpec, specs_of
from speech_analogy.merging.io.provenance import now
from speech_analogy.merging.io.stream import DEFAULT, Make, StreamOptions, write_files
from speech_analogy.merging.naming import known_as, without_paths
from speech_analogy.merging.tensors import TensorSource

COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "LICENSE*", "NOTICE*")
"""Files that are copied along with the weights: config, generation config, tokenizer, preprocessor."""

LEFT_BEHIND = ("*.index.json", PROVENANCE_FILE, "trainer_state.json", "all_results.json", "*_results.json")
"""Files that match `COMPANIONS` and yet belong to the old weights or to their training."""

CONFIGURATIONS = ("config.json", "generation_config.json", "tokenizer_config.json", "preprocessor_config.json")
PLACES = ("_name_or_path", "name_or_path")
"""Keys under which transformers before version 5 wrote what a model was loaded from, which may be a path."""

FINISHERS: Plugins[Callable[[Path], None]] = Plugins(
    "speech_analogy.model_folders", "type of model folder", field="model_type", error=CheckpointError
)
"""By what `config.json` calls a type of model: adds what is missing beside the weights of a folder."""

SCHEMA_NUMBER = 1  # of provenance.json
FORMAT = {"format": "pt"}  # transformers refuses safetensors without it


def write_model_folder(
    out: str | Path,
    layout: TensorSource,
    make: Make,
    record: Mapping[str, Any],
    *,
    companions: Path | None = None,
    dtype: torch.dtype | None = None,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
    cost: Callable[[TensorSpec], int] | None = None,
) -> Path:
    """Write a merged model: a whole folder or none.

    Args:
        layout: has the names, shapes and dtypes of the result.
        make: makes one tensor; called in worker threads, the largest tensor first.
        record: how it was made; goes into `provenance.json` beside the schema and the time of day.
        companions: the folder whose non-weight files are copied (`COMPANIONS` without `LEFT_BEHIND`).
        dtype: of the weights; None: the layout's.
        cost: bytes of memory one tensor needs while it is made; None: negligible (made in pieces).

    Returns:
        `out`.

    Raises:
        CheckpointError: `out` exists, or the disk is full; what `make` raises.
    """
    with new_folder(out, overwrite) as folder:
        if companions is not None:
            copy_companions(companions, folder)
            _note_dtype(folder, dtype)
        specs = specs_of(layout, dtype)
        require_room(folder, sum(spec.nbytes for spec in specs), Path(out), CheckpointError)
        write_weights(folder, specs, make, options, cost)
        write_json(folder / PROVENANCE_FILE, {"schema": SCHEMA_NUMBER, "created": now(), **record})
        finish(folder)
    return Path(out)


@contextmanager
def new_folder(out: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `out` when the block ends, and is removed when it fails.

    Raises:
        CheckpointError: `out` exists (with `overwrite`: and was not written here), or the disk is full.
    """
    with whole_folder(out, overwrite=overwrite, error=CheckpointError) as temporary:
        yield temporary


def copy_companions(source: Path, target: Path) -> None:
    """Copy the non-weight files of a model folder (`COMPANIONS` without `LEFT_BEHIND`)."""
    for file in sorted(source.iterdir()):
        wanted = any(file.match(pattern) for pattern in COMPANIONS)
        if wanted and file.is_file() and not any(file.match(pattern) for pattern in LEFT_BEHIND):
            shutil.copyfile(file, target / file.name)
    name_places(target)


def name_places(folder: Path) -> None:
    """Let the configurations of a folder name where the model came from, and not the place on the disk."""
    for file in filter(Path.is_file, (folder / name for name in CONFIGURATIONS)):
        content = read_json(file)
        named = {key: known_as(content[key]) for key in PLACES if isinstance(content.get(key), str)}
        if content != content | named:
            write_json(file, content | named)


def copy_record(source: Path, target: Path) -> None:
    """Copy the `provenance.json` of a model folder, where there is one, without paths."""
    file = source / PROVENANCE_FILE
    if not file.is_file():
        return
    record = read_json(file)
    if (named := without_paths(record)) == record:
        shutil.copyfile(file, target / PROVENANCE_FILE)
    else:
        write_json(target / PROVENANCE_FILE, named)


def finish(folder: Path) -> None:
    """Let the package that knows this type of model add what its consumers look for; others stay as they are.

    Raises:
        CheckpointError: one of the folder's files is broken.
    """
    config = folder / "config.json"
    model_type = read_json(config).get("model_type") if config.is_file() else None
    if model_type is not None and model_type in FINISHERS:  # to look for one reads every installed package's record
        FINISHERS.load(str(model_type))(folder)


def _note_dtype(folder: Path, dtype: torch.dtype | None) -> None:
    """Let `config.json` give the dtype the weights were cast to."""
    config = folder / "config.json"
    if dtype is None or not config.is_file():
        return
    content = read_json(config)
    for key in ("dtype", "torch_dtype"):
        if key in content:
            content[key] = str(dtype).removeprefix("torch.")
    write_json(config, content)


def write_weights(
    folder: Path,
    specs: Sequence[TensorSpec],
    make: Make,
    options: StreamOptions = DEFAULT,
    cost: Callable[[TensorSpec], int] | None = None,
) -> None:
    """Write `model.safetensors`, or shards and `model.safetensors.index.json` above `options.shard_bytes`.

    Args:
        make, cost: as in `write_model_folder`.
    """
    shards = plan_shards(specs, options.shard_bytes)
    names = (
        ["model.safetensors"]
        if len(shards) == 1
        else [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    )
    if len(shards) > 1:
        weight_map = {spec.name: file for file, shard in zip(names, shards, strict=True) for spec in shard}
        total = sum(spec.nbytes for spec in specs)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        write_json(folder / "model.safetensors.index.json", index)
    files = {folder / file: shard for file, shard in zip(names, shards, strict=True)}
    write_files(files, make, options, cost, dict.fromkeys(files, FORMAT))


def plan_shards(specs: Sequence[TensorSpec], shard_bytes: int) -> list[list[TensorSpec]]:
    """Cut tensors, in the order of their names, into groups of at most `shard_bytes` (or of one larger tensor)."""
    shards: list[list[TensorSpec]] = [[]]
    filled = 0
    for spec in sorted(specs, key=lambda spec: spec.name):
        if shards[-1] and filled + spec.nbytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(spec)
        filled += spec.nbytes
    return shards
