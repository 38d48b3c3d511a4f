"""The file of a task vector: safetensors, with base, provenance and a digest of the contents in the header."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.disk.refusals import require_room
from speech_analogy.foundation.files import whole_file
from speech_analogy.merging.arithmetic import cast_piece
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import content_digest, digest_of
from speech_analogy.merging.io.header import TensorSpec, build_header, write_all
from speech_analogy.merging.io.provenance import BaseModelIdentity, Provenance, parse_provenance
from speech_analogy.merging.io.stream import DEFAULT, Make, StreamOptions, write_files
from speech_analogy.merging.tensors import TensorSource, pieces
from speech_analogy.merging.vectors.encodings import ENCODING_KEY, decoded_source

VECTOR_SCHEMA = "speech-analogy/task-vector/1"
NO_DIGEST = "0" * 64


def write_vector_file(
    path: str | Path,
    tensors: TensorSource,
    base: BaseModelIdentity,
    provenance: Provenance,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> None:
    """Write differences as they are.

    Raises:
        CheckpointError: NaN or infinity, `path` exists, a full disk.
    """
    specs = [TensorSpec(name, tensors.shape(name), tensors.dtype(name)) for name in tensors]

    def make(spec: TensorSpec) -> Iterator[Tensor]:
        for start, stop in pieces(spec.numel):
            yield cast_piece(tensors.piece(spec.name, start, stop), spec.dtype, spec.name, [tensors])

    write_coded_vector(path, specs, make, base, provenance, {}, overwrite, options)


def write_coded_vector(
    path: str | Path,
    specs: Sequence[TensorSpec],
    make: Make,
    base: BaseModelIdentity,
    provenance: Provenance,
    extra: Mapping[str, str],
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
) -> None:
    """Write what `make` makes under a vector's header; the digest of the contents is put in when it is known.

    Args:
        extra: more metadata, e.g. how the tensors are encoded.
    """
    metadata = {
        "format": "pt",
        "schema": VECTOR_SCHEMA,
        "base_name": base.name,
        "base_fingerprint": base.fingerprint,
        "provenance": json.dumps(provenance.model_dump(exclude_defaults=True), ensure_ascii=False),
        "content_sha256": NO_DIGEST,
        **extra,
    }
    with whole_file(path, overwrite=overwrite, error=CheckpointError) as temporary:
        require_room(temporary.parent, sum(spec.nbytes for spec in specs), Path(path), CheckpointError)
        digests: dict[str, str] = {}
        write_files({temporary: specs}, make, options, metadata={temporary: metadata}, digests=digests)
        header, _ = build_header(specs, metadata | {"content_sha256": digest_of(specs, digests)})
        descriptor = os.open(temporary, os.O_WRONLY)
        try:
            write_all(descriptor, header, 0)
        finally:
            os.close(descriptor)


def read_vector_file(path: str | Path, verify: bool = True) -> tuple[TensorSource, BaseModelIdentity, Provenance]:
    """Open a vector file.

    Args:
        verify: read everything once and compare it with the digest in the header (finds flipped bits).

    Raises:
        CheckpointError: no vector file, a broken one, or contents that differ from the digest.
    """
    file = open_checkpoint(path)
    metadata = file.metadata
    if metadata.get("schema") != VECTOR_SCHEMA:
        raise CheckpointError(
            f"a vector file's header must have the schema {VECTOR_SCHEMA}",
            file=path,
            field="schema",
            value=metadata.get("schema"),
            do="make one with `speech-analogy vector extract`",
        )
    if verify and content_digest(file) != metadata.get("content_sha256"):
        raise CheckpointError(
            "the contents must have the digest in the header",
            file=path,
            field="content_sha256",
            value=metadata.get("content_sha256"),
            do="copy the file again: it was damaged",
        )
    base = BaseModelIdentity(name=metadata.get("base_name", ""), fingerprint=metadata.get("base_fingerprint", ""))
    encoding = metadata.get(ENCODING_KEY)
    tensors = file if encoding is None else decoded_source(file, encoding)
    return tensors, base, parse_provenance(metadata.get("provenance", "{}"), str(path))
