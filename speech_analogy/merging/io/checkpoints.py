"""Any checkpoint as a lazy, memory-mapped mapping name -> tensor: safetensors, shards, a model folder, `.pt`."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.model_files import model_json
from speech_analogy.merging.io.header import ByteRange, read_header
from speech_analogy.merging.io.pickles import read_pickled
from speech_analogy.merging.naming import known_as, without_paths
from speech_analogy.merging.tensors import TensorSource, pieces, raw_bytes

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The weight files of a model folder, in the order in which transformers looks for them."""

PROVENANCE_FILE = "provenance.json"
MOST_SHARDS = 256  # each takes an open file

TIED_WEIGHTS: dict[str, tuple[str, ...]] = {
    "proj_out.weight": ("model.decoder.embed_tokens.weight",),  # Whisper
    "lm_head.weight": (
        "model.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "model.shared.weight",
        "transformer.wte.weight",
        "shared.weight",
    ),
}
"""Output projections and the embeddings they are tied to where `tie_word_embeddings` is on; the first is not stored."""


@dataclass(frozen=True)
class Stored:
    """One tensor of a checkpoint: shape and dtype, how to get it whole, and where its bytes lie, if in a file."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    whole: Callable[[], Tensor]
    file: BinaryIO | None = None
    begin: int = 0


_Table = dict[str, Stored]


class Checkpoint(TensorSource):
    """The weights of one model. Made by `open_checkpoint`; tensors are views of the mapped file (private pages).

    Attributes:
        path: what was opened.
        folder: the Hugging Face folder around the weights, or None.
        config: its `config.json`, or {}.
        provenance: its `provenance.json` (ours: `base`, `base_fingerprint`, ...) without paths, or {}.
        tied: names left out because they are the same tensor as another -> that other name.
        metadata: the safetensors metadata (of the first shard), or {}.
    """

    def __init__(
        self,
        path: Path,
        folder: Path | None,
        table: Mapping[str, Stored],
        metadata: Mapping[str, str],
    ) -> None:
        self.path, self.folder, self.label = path, folder, str(path)
        self.metadata = dict(metadata)
        self.config = read_json(folder / "config.json") if folder else {}
        self.provenance = without_paths(read_json(folder / PROVENANCE_FILE)) if folder else {}
        self._name = _published_as(self.provenance) or known_as(path)
        self._table = {name: table[name] for name in sorted(table)}
        self.tied = self._find_ties()
        for name in self.tied:
            del self._table[name]

    def keys(self) -> list[str]:
        return list(self._table)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._stored(name).shape

    def dtype(self, name: str) -> torch.dtype:
        return self._stored(name).dtype

    def __getitem__(self, name: str) -> Tensor:
        return self._stored(name).whole()

    def read(self, name: str, start: int, stop: int, buffer: Tensor) -> Tensor:
        stored = self._stored(name)
        if stored.file is None:
            return self.piece(name, start, stop)
        target = buffer[: stop - start]
        size = stored.dtype.itemsize
        view = raw_bytes(target)
        position, wanted = stored.begin + start * size, len(view)
        while wanted:
            found = os.preadv(stored.file.fileno(), [view[len(view) - wanted :]], position)
            if not found:
                raise CheckpointError("the file was truncated while it was being read", file=self.label, field=name)
            position, wanted = position + found, wanted - found
        return target

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def _stored(self, name: str) -> Stored:
        try:
            return self._table[name]
        except KeyError:
            raise CheckpointError("no such tensor", file=self.label, field=name) from None

    def _find_ties(self) -> dict[str, str]:
        """A projection is tied if the config does not rule it out and both tensors hold the same bytes."""
        if self.config.get("tie_word_embeddings") is False:
            return {}
        return {
            name: other
            for name, others in TIED_WEIGHTS.items()
            for other in others
            if name in self and other in self and self._same(name, other)
        }

    def _same(self, name: str, other: str) -> bool:
        if self.shape(name) != self.shape(other) or self.dtype(name) != self.dtype(other):
            return False
        one, two = self[name], self[other]
        if one.data_ptr() == two.data_ptr():
            return True
        left, right = one.contiguous().view(-1), two.contiguous().view(-1)
        return all(torch.equal(left[start:stop], right[start:stop]) for start, stop in pieces(len(left)))


def _published_as(provenance: Mapping[str, Any]) -> str | None:
    """What weights are called that were imported as they were published; None for those that were tuned or made."""
    imported = "base_fingerprint" not in provenance and "operation" not in provenance
    return str(provenance["base"]) if imported and provenance.get("base") else None


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open weights without reading them.

    Args:
        path: a `.safetensors` file, its `.index.json`, a Hugging Face folder, an OpenAI `.pt` or
            `pytorch_model.bin`.

    Raises:
        CheckpointError: nothing there, a broken or truncated file, a wrong header, an index that names a
            missing shard, a pickle with code in it.
    """
    path = Path(path)
    if path.is_dir():
        found = next((path / name for name in WEIGHT_FILES if (path / name).is_file()), None)
        if found is None:
            raise CheckpointError(
                f"a model folder must hold one of {', '.join(WEIGHT_FILES)}",
                file=path,
                do="give the folder that `save_pretrained` wrote, or a weights file",
            )
        return _open_file(found, path, path)
    if not path.is_file():
        raise CheckpointError("no such checkpoint", file=path, do="give a model folder, a .safetensors or a .pt file")
    folder = path.parent if path.name in WEIGHT_FILES and (path.parent / "config.json").is_file() else None
    return _open_file(path, folder, path)


def _open_file(file: Path, folder: Path | None, path: Path) -> Checkpoint:
    if file.name.endswith(".index.json"):
        table, metadata = _read_index(file)
    elif file.suffix == ".safetensors":
        table, metadata = _read_safetensors(file)
    else:
        table, metadata = _read_pickle(file), {}
    if not table:
        raise CheckpointError("a checkpoint must hold at least one tensor", file=file)
    return Checkpoint(path, folder, table, metadata)


def _read_safetensors(file: Path) -> tuple[_Table, dict[str, str]]:
    header = read_header(file)
    handle = cast(BinaryIO, file.open("rb", buffering=0))  # closed when the last tensor that needs it is gone
    mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
    table = {
        name: Stored(entry.spec.shape, entry.spec.dtype, partial(_view, mapped, entry), handle, entry.begin)
        for name, entry in header.entries.items()
    }
    return table, header.metadata


def _view(mapped: mmap.mmap, entry: ByteRange) -> Tensor:
    """A tensor over the mapped bytes; copied only where the file does not align it."""
    spec = entry.spec
    if not spec.numel:
        return torch.empty(spec.shape, dtype=spec.dtype)
    if entry.begin % spec.dtype.itemsize:
        unaligned = bytearray(mapped[entry.begin : entry.end])
        return torch.frombuffer(unaligned, dtype=spec.dtype).reshape(spec.shape)
    flat = torch.frombuffer(mapped, dtype=spec.dtype, count=spec.numel, offset=entry.begin)
    return flat.reshape(spec.shape)


def _read_pickle(file: Path) -> _Table:
    tensors = read_pickled(file)
    return {
        name: Stored(tuple(tensor.shape), tensor.dtype, partial(_itself, tensor)) for name, tensor in tensors.items()
    }


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _read_index(file: Path) -> tuple[_Table, dict[str, str]]:
    weight_map = read_json(file).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError("an index must have a weight_map of tensor names to files", file=file)
    table: _Table = {}
    metadata: dict[str, str] = {}
    shards = sorted({str(shard) for shard in weight_map.values()})
    if len(shards) > MOST_SHARDS:
        raise CheckpointError(f"an index must name at most {MOST_SHARDS} files", file=file, value=len(shards))
    for shard in shards:
        named = sorted(name for name, where in weight_map.items() if where == shard)
        shard_file = file.parent / shard
        if Path(shard).name != shard or shard in ("", ".", "..") or _leads_away(shard_file):
            raise CheckpointError(
                "a shard must lie beside its index", file=file, field=named[0] if named else None, value=shard
            )
        if not shard_file.is_file():
            raise CheckpointError(
                "the index names a shard that is missing",
                file=file,
                field=named[0],
                value=shard,
                do="copy that file too",
            )
        if shard_file.suffix == ".safetensors":
            found, shard_metadata = _read_safetensors(shard_file)
            metadata = metadata or shard_metadata
        else:
            found = _read_pickle(shard_file)
        for name in sorted(set(found) ^ set(named)):
            rule = "the index places this tensor elsewhere" if name in found else "the index promises this tensor"
            raise CheckpointError(rule, file=shard_file, field=name, do="copy the folder again")
        table.update(found)
    return table, metadata


def _leads_away(file: Path) -> bool:
    """Whether it is a link out of its folder, but for the model hub's cache, whose files are links to its blobs."""
    if not file.is_symlink():
        return False
    folder, target = file.parent.resolve(), file.resolve()
    kept = folder.parent.parent / "blobs" if folder.parent.name == "snapshots" else folder
    return target.parent not in (folder, kept)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; {} where there is none.

    Raises:
        CheckpointError: it is none, or absurdly large.
    """
    return model_json(file)
