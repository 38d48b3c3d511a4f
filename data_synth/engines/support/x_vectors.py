"""Speaker vectors (x-vectors) read from a folder of .npy and .json files; never from pickles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_synth.audio.samples import Samples
from data_synth.engines.support.voice_names import RESERVED_MARKS
from speech_analogy.errors import SynthesisError, one_line
from speech_analogy.foundation.model_files import read_array
from speech_analogy.foundation.user_files.json_text import read_json

X_VECTOR_SIZE = 512
X_VECTOR_SUFFIXES = (".npy", ".json")


def read_x_vectors(folder: Path) -> dict[str, Samples]:
    """Name -> x-vector, float32 of shape (512,), sorted by name; subfolders are read too.

    A file holds one vector, named by its path without suffix (`bdl/a0001`), or several: an array or list of shape
    (vectors, 512), named `file/0`, `file/1`, ..., or in JSON an object name -> vector, named `file/name`.

    Raises:
        SynthesisError: there is no vector, or a file holds something else (it is named).
    """
    if not folder.is_dir():
        raise SynthesisError("there is no such folder of x-vectors", file=folder)
    vectors: dict[str, Samples] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in X_VECTOR_SUFFIXES):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        for part, values in _parts(path):
            name = f"{stem}/{part}" if part else stem
            if name in vectors or any(mark in name for mark in RESERVED_MARKS):
                rule = "names of x-vectors must be distinct, without + and comma"
                raise SynthesisError(rule, file=path, value=name, do="rename the file")
            vectors[name] = _checked(values, path)
    if not vectors:
        raise SynthesisError("no x-vectors (.npy, .json) in this folder", file=folder)
    return dict(sorted(vectors.items()))


def _parts(path: Path) -> Iterator[tuple[str, object]]:
    """What a file holds: (name within the file, values); the name is empty where it holds one vector."""
    try:
        if path.suffix == ".npy":
            content: object = read_array(path)
        else:
            content = read_json(path, SynthesisError, broken="it cannot be read")
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise SynthesisError(f"it cannot be read: {one_line(error)}", file=path) from None
    if isinstance(content, dict):
        yield from ((str(name), values) for name, values in content.items())
        return
    array = _array(content, path)
    if array.ndim == 2 and len(array) != 1:
        yield from ((str(index), row) for index, row in enumerate(array))
    else:
        yield "", array


def _array(values: object, path: Path) -> Samples:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise SynthesisError(f"must hold {X_VECTOR_SIZE} numbers a vector", file=path) from None


def _checked(values: object, path: Path) -> Samples:
    vector = _array(values, path).squeeze()
    if vector.shape != (X_VECTOR_SIZE,):
        raise SynthesisError(f"an x-vector must have {X_VECTOR_SIZE} numbers", file=path, value=vector.shape)
    if not np.isfinite(vector).all() or not vector.any():
        raise SynthesisError("an x-vector's numbers must be finite and not all zero", file=path)
    return vector
