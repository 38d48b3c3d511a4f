"""Makes tensors one at a time, in several threads and bounded memory, and writes them as they are made."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from speech_analogy.foundation.machine import cores
from speech_analogy.foundation.progress import BYTES, bar
from speech_analogy.merging.io.header import ByteRange, TensorSpec, build_header, write_all
from speech_analogy.merging.tensors import one_torch_thread, raw_bytes

SHARD_BYTES = 5_000_000_000
MEMORY_BYTES = 1_000_000_000
MAX_DEFAULT_THREADS = 8

Make = Callable[[TensorSpec], Iterable[Tensor]]
"""Makes one tensor: its elements in order, in one or many pieces of any shape, in the dtype of the spec.

A piece is written before the next one is asked for, so a maker may use one buffer for all."""

Progress = Callable[[int, int], None]
"""Called with (bytes written, bytes in all); calls do not overlap."""


@dataclass(frozen=True)
class StreamOptions:
    """How to run, not what to compute: none of these changes a bit of the result.

    Args:
        threads: worker threads; None: one per core, at most 8.
        shard_bytes: a model larger than this is written in shards with an index.
        memory_bytes: for all tensors that are being made at one time (a tensor that needs more is made alone).
        progress: called with (bytes written, bytes in all).
    """

    threads: int | None = None
    shard_bytes: int = SHARD_BYTES
    memory_bytes: int = MEMORY_BYTES
    progress: Progress | None = None

    def worker_count(self) -> int:
        """The number of threads to use."""
        return self.threads or min(cores(), MAX_DEFAULT_THREADS)


DEFAULT = StreamOptions()


def write_files(
    files: Mapping[Path, Sequence[TensorSpec]],
    make: Make,
    options: StreamOptions = DEFAULT,
    cost: Callable[[TensorSpec], int] | None = None,
    metadata: Mapping[Path, Mapping[str, str]] | None = None,
    digests: dict[str, str] | None = None,
) -> None:
    """Write safetensors files whose tensors are made while they are written.

    Args:
        digests: filled with the sha256 (hexadecimal) of each tensor's bytes, if given.

    Raises:
        OSError: the disk is full (the caller names the output and removes what was written).
    """
    specs = [spec for group in files.values() for spec in group]
    descriptors: list[int] = []
    places: dict[str, tuple[int, ByteRange]] = {}
    try:
        for file, group in files.items():
            header, ranges = build_header(group, (metadata or {}).get(file, {}))
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            descriptors.append(descriptor)
            write_all(descriptor, header, 0)
            places |= {name: (descriptor, place) for name, place in ranges.items()}
        meter = _Meter(sum(spec.nbytes for spec in specs), options.progress)

        def work(spec: TensorSpec) -> None:
            descriptor, place = places[spec.name]
            digest = _write_tensor(descriptor, place, make(spec), meter, hashed=digests is not None)
            if digests is not None:
                digests[spec.name] = digest

        run_in_threads(specs, work, options, cost)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _write_tensor(descriptor: int, place: ByteRange, pieces: Iterable[Tensor], meter: _Meter, hashed: bool) -> str:
    position, digest = place.begin, hashlib.sha256()
    for piece in pieces:
        if piece.dtype != place.spec.dtype:
            raise TypeError(f"{place.spec.name}: made {piece.dtype}, announced {place.spec.dtype}")
        data = raw_bytes(piece)
        if position + len(data) > place.end:
            raise ValueError(f"{place.spec.name}: more elements were made than announced")
        write_all(descriptor, data, position)
        if hashed:
            digest.update(data)
        position += len(data)
        meter.add(len(data))
    if position != place.end:
        raise ValueError(f"{place.spec.name}: fewer elements were made than announced")
    return digest.hexdigest()


def gathered(make: Make, spec: TensorSpec) -> Tensor:
    """The tensor that `make` makes, in memory."""
    whole, position = torch.empty(spec.numel, dtype=spec.dtype), 0
    for piece in make(spec):
        whole[position : position + piece.numel()] = piece.reshape(-1)
        position += piece.numel()
    return whole.reshape(spec.shape)


def run_in_threads(
    specs: Sequence[TensorSpec],
    work: Callable[[TensorSpec], None],
    options: StreamOptions = DEFAULT,
    cost: Callable[[TensorSpec], int] | None = None,
) -> None:
    """Call `work` on every spec, the largest first, in threads that together stay within the memory budget.

    The first error stops the rest and is raised.
    """
    budget = _Budget(options.memory_bytes)
    stop = threading.Event()

    def guarded(spec: TensorSpec) -> None:
        if stop.is_set():
            return
        try:
            with budget.hold(cost(spec) if cost else 0, stop):
                if not stop.is_set():
                    work(spec)
        except BaseException:
            stop.set()
            budget.wake()
            raise

    ordered = sorted(specs, key=lambda spec: (-spec.nbytes, spec.name))
    with one_torch_thread(), ThreadPoolExecutor(options.worker_count()) as pool:
        futures = [pool.submit(guarded, spec) for spec in ordered]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
        except BaseException:
            stop.set()
            budget.wake()
            pool.shutdown(cancel_futures=True)
            raise


@dataclass
class _Budget:
    """Bytes that may be in use at once; a request above the limit waits until nothing else is held."""

    limit: int
    used: int = 0
    holders: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def hold(self, amount: int, stop: threading.Event) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: stop.is_set() or not self.holders or self.used + amount <= self.limit)
            self.used += amount
            self.holders += 1
        try:
            yield
        finally:
            with self.changed:
                self.used -= amount
                self.holders -= 1
                self.changed.notify_all()

    def wake(self) -> None:
        with self.changed:
            self.changed.notify_all()


class _Meter:
    """Adds up bytes and reports them, one report at a time."""

    REPORT_BYTES = 1 << 22

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done, self._reported = 0, 0
        self._lock = threading.Lock()

    def add(self, amount: int) -> None:
        if self._progress is None:
            return
        with self._lock:
            self._done += amount
            if self._done - self._reported >= self.REPORT_BYTES or self._done == self._total:
                self._reported = self._done
                self._progress(self._done, self._total)


@contextmanager
def byte_bar(what: str, disable: bool = False) -> Iterator[Progress]:
    """Progress in bytes while the block lasts."""
    with bar(None, what, BYTES, show=not disable) as shown:
        yield shown.reached
