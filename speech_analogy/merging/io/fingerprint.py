"""What makes two checkpoints "the same base": a digest over sorted names, shapes and contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from speech_analogy.merging.io.header import TensorSpec
from speech_analogy.merging.tensors import TensorSource, accumulator, as_source, pieces, raw_bytes

SCHEME = "speech-analogy fingerprint 1"
PREFIX = "sha256:"


def fingerprint(checkpoint: TensorSource | Mapping[str, Tensor], threads: int = 2) -> str:
    """The fingerprint of a set of named tensors: "sha256:" and 64 hexadecimal digits.

    It covers names (sorted), shapes and values. Values are taken in a canonical dtype: floating point up to
    32 bits as float32, float64 as float64, integers as int64; so neither the layout in shards, nor the file
    format, nor an exact widening (a published fp16 model loaded in fp32) changes it, and a rounding (fp32 to
    bf16) does. Tied tensors count once, under the name that is stored.
    """
    source = as_source(checkpoint)
    with ThreadPoolExecutor(threads) as pool:
        digests = pool.map(lambda name: _tensor_digest(source, name), source.keys())
    total = hashlib.sha256(SCHEME.encode())
    for digest in digests:
        total.update(digest)
    return PREFIX + total.hexdigest()


def _tensor_digest(source: TensorSource, name: str) -> bytes:
    dtype = accumulator(source.dtype(name)) if source.is_float(name) else torch.int64
    digest = hashlib.sha256(json.dumps([name, source.shape(name), str(dtype)]).encode())
    for start, stop in pieces(source.numel(name)):
        digest.update(raw_bytes(source.piece(name, start, stop).to(dtype)))
    return digest.digest()


def content_digest(source: TensorSource) -> str:
    """The digest of what is stored, byte for byte: sorted names, shapes, dtypes and each tensor's sha256."""
    specs = [TensorSpec(name, source.shape(name), source.dtype(name)) for name in source]
    return digest_of(specs, {name: _stored_digest(source, name) for name in source})


def digest_of(specs: Sequence[TensorSpec], digests: Mapping[str, str]) -> str:
    """`content_digest` from the sha256 (hexadecimal) of each tensor's bytes."""
    total = hashlib.sha256()
    for spec in sorted(specs, key=lambda spec: spec.name):
        total.update(json.dumps([spec.name, spec.shape, str(spec.dtype), digests[spec.name]]).encode() + b"\n")
    return total.hexdigest()


def _stored_digest(source: TensorSource, name: str) -> str:
    digest = hashlib.sha256()
    for start, stop in pieces(source.numel(name)):
        digest.update(raw_bytes(source.piece(name, start, stop)))
    return digest.hexdigest()
